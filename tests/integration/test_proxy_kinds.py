"""What proxies do: operators, generators, files, modules, classes written by hand."""

from __future__ import annotations

import io
import rlcompleter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import easycluster
from easycluster import FileProxy, GeneratorProxy, RemoteProxy, define_common, definitions_module
from easycluster_client._calls.maker import CallMaker
from easycluster_protocol._objects.proxy_classes import ModuleProxy
from easycluster_protocol.errors import DeserializationError, RemoteException, SerializationError
from helpers.pythons import find_pythons
from helpers.server_objects import kept, kind_of
from helpers.sshd import Sshd

pytestmark = pytest.mark.usefixtures("object_definitions")


def test_operators(client: Any) -> None:
    """Operators and built-in functions work on proxies, also the reflected ones and those that change in place."""
    vector = client.Vector(1, 2, 3)

    assert vector + client.Vector(1, 1, 1) == client.Vector(2, 3, 4)
    assert vector != client.Vector(2, 3, 4)
    assert 5 + vector == ("radd", 5)
    with pytest.raises(TypeError, match="unsupported operand"):
        _ = vector + 5
    before = vector
    vector += 10
    assert vector is before
    assert (vector[0], vector[1:], len(vector), 12 in vector, bool(vector)) == (11, [12, 13], 3, True, True)
    vector[0] = 5
    del vector[2]
    assert list(vector) == [5, 12]
    assert list(-vector) == [-5, -12]
    assert vector(1, key=2) == ((1,), {"key": 2})
    assert not client.Vector()
    with pytest.raises(IndexError):
        client.raw_call("Vector.__getitem__", (vector, 9), origexc="quiet")


def test_context_managers(local: Any) -> None:
    """A proxy in a ``with`` statement: entered and left on the server, which is not sent a traceback."""
    context = local.Context()

    with context as entered:
        assert entered == "entered"
    assert context.seen == (None, None, None)
    with pytest.raises(ValueError, match="inside"), context:
        raise ValueError("inside")
    assert context.seen == ("ValueError", "inside", None)
    with context:
        raise KeyError("swallowed")


def test_classes_with_an_init(local: Any) -> None:
    """A proxy class may have an ``__init__`` of its own, which may make calls; it is called once for each proxy."""
    define_common(
        "made = []\n"
        "class Mine(DefaultRemoteProxy):\n"
        "    label = None\n"
        "    def __init__(self, *args, **kwargs):\n"
        "        super().__init__(*args, **kwargs)\n"
        "        self.label = self.name()\n"
        "        made.append(args)\n"
        "class Mixed(RemoteProxy, collections.UserList):\n"
        "    proxy_methods = 'name'\n"
        "    def __init__(self, client, oid):\n"
        "        collections.UserList.__init__(self)\n"
        "        RemoteProxy.__init__(self, client, oid)\n"
        "class Named(Thing):\n"
        "    proxy_class = Mine\n"
        "class Listed(Thing):\n"
        "    proxy_class = Mixed\n"
    )
    local.update_definitions()
    named, listed = local.Named(), local.Listed()

    assert (named.label, local.is_same(named), named.itself() is named) == ("Named", False, True)
    assert definitions_module("easycluster.remote_code").made == [(local, named.proxy_object_id)]
    listed.append(1)
    assert (listed.data, listed.name()) == ([1], "Listed")
    kept(local, 2)


def test_init_that_raises(local: Any) -> None:
    """A proxy class whose ``__init__`` raises fails each call that names such an object, and no other."""
    define_common(
        "class Refusing(RemoteProxy):\n"
        "    def __init__(self, client, oid):\n"
        "        raise ValueError('refused')\n"
        "class Refused(Thing):\n"
        "    proxy_class = Refusing\n"
        "refused = Refused()\n"
    )
    local.update_definitions()

    errors = []
    for _ in range(2):
        with pytest.raises(DeserializationError, match="refused") as caught:
            local.eval("refused")
        errors.append(caught.value)
    del caught
    errors.clear()
    kept(local, 0)


def test_server_objects_that_are_files(local: Any) -> None:
    """A class of server objects that derives from a file's says itself what it exports."""
    define_common("import io\nclass Port(ServerObject, io.RawIOBase):\n    def measure(self): return 42\n")
    local.update_definitions()

    assert local.Port().measure() == 42


def test_generators(client: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """A generator is a proxy by itself; it goes on by one with each step, and ends quietly."""
    numbers = client.generate(1000)
    assert kind_of(numbers) is GeneratorProxy
    assert next(numbers) == 0
    assert next(numbers) == 1
    assert client.eval("produced") == [0, 1]
    numbers.close()
    assert next(numbers, "end") == "end"

    assert list(client.generate(4)) == [0, 1, 2, 3]
    echo = client.eval("(lambda: (yield (yield 1)))()")
    assert (next(echo), echo.send("sent")) == (1, "sent")
    with pytest.raises(KeyError, match="thrown"):
        client.eval("(x for x in [1])").throw(KeyError("thrown"))
    capsys.readouterr()
    del numbers, echo
    kept(client, 0)
    assert capsys.readouterr().err == ""


def test_files(client: Any, tmp_path: Path) -> None:
    """An open file is a proxy by itself: to print to, to read, line by line, and to close by ``with``."""
    path = tmp_path / "file"
    file = client.file(str(path), "w")
    assert kind_of(file) is FileProxy
    print("x", 1, file=file)
    file.writelines(["y\n", "z\n"])
    file.close()
    assert file.closed
    assert path.read_text() == "x 1\ny\nz\n"

    with client.file(str(path), "r") as file:
        assert next(file) == "x 1\n"
        assert list(file) == ["y\n", "z\n"]
        file.seek(0)
        assert (file.read(3), file.readline(), file.mode) == ("x 1", "\n", "r")
    assert file.closed
    with client.file(str(path), "rb") as file:
        assert file.read().splitlines() == [b"x 1", b"y", b"z"]


def test_files_of_every_kind(local: Any, tmp_path: Path) -> None:
    """So is every other file: a compressed one, a part of an archive, one of the user's own. One in memory is copied."""
    define_common("import io\nclass Zeros(io.RawIOBase):\n    def read(self, size): return bytes(size)\n")
    local.update_definitions()
    with local.gzip.open(str(tmp_path / "x.gz"), "wt") as file:
        print("packed", file=file)
    with local.gzip.open(str(tmp_path / "x.gz")) as file:
        assert (kind_of(file), list(file)) == (FileProxy, [b"packed\n"])
    assert (type(local.io.BytesIO(b"bytes")), type(local.io.StringIO("x"))) == (io.BytesIO, io.StringIO)
    local.make_server_class(io.BytesIO)
    assert local.io.BytesIO(b"bytes").getvalue() == b"bytes"
    assert isinstance(local.io.BytesIO(b"bytes"), RemoteProxy)
    assert local.Zeros().read(2) == b"\0\0"
    archive = local.eval("__import__('zipfile').ZipFile(io.BytesIO(), 'w').open('part', 'w')")
    assert kind_of(archive) is FileProxy
    archive.close()
    with local.tempfile.NamedTemporaryFile() as temporary:
        temporary.write(b"kept")
        assert local.os.path.exists(temporary.name)


def test_modules(client: Any) -> None:
    """A module is a proxy by itself; its functions can be called, its attributes be got, set and deleted."""
    module = client.eval("__import__('json')")
    assert kind_of(module) is ModuleProxy
    assert module.dumps([1]) == "[1]"
    module.mine = 5
    assert client.eval("__import__('json').mine") == module.mine == 5
    del module.mine
    assert not hasattr(module, "mine")
    assert client.eval("__import__('json')") is module
    assert client.eval("[__import__('json').decoder]")[0].scanner.__class__ is ModuleProxy
    with pytest.raises(ValueError, match="Expecting value"):
        module.loads("}", origexc="quiet")


def test_proxy_classes(local: Any) -> None:
    """A proxy class written by hand runs its own methods here, and may inherit from another class."""
    define_common(
        "import collections.abc\n"
        "class ListProxy(RemoteProxy, collections.abc.Sequence):\n"
        "    proxy_methods = ('__getitem__', '__len__')\n"
        "    def here(self):\n"
        "        return 'here %d' % len(self)\n"
        "class List(ServerObject):\n"
        "    proxy_class = ListProxy\n"
        "    def __getitem__(self, index):\n"
        "        return 'abc'[index]\n"
        "    def __len__(self):\n"
        "        return 3\n"
        "class DefaultProxy(DefaultRemoteProxy):\n"
        "    local = 1\n"
        "class Default(Thing):\n"
        "    proxy_class = DefaultProxy\n"
    )
    local.update_definitions()
    values = local.List()

    assert isinstance(values, Sequence)
    assert isinstance(values, RemoteProxy)
    assert "b" in values
    assert (values.here(), values[1], values[-1]) == ("here 3", "b", "c")
    default = local.Default(9)
    default.local = 2
    default.remote = 3
    assert local.call("getattr", default, "remote") == 3
    assert local.call("hasattr", default, "local") is False
    assert (default.local, default.value, default.name(), default.static(4)) == (2, 9, "Default", 5)
    assert default.itself() is default


def test_told_without_a_call(local: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """``repr``, ``dir`` and tab completion of a proxy call nobody."""
    thing = local.Thing()
    calls: list[Any] = []

    def make(*call: Any) -> None:
        calls.append(call)

    monkeypatch.setattr(CallMaker, "make", make)

    assert repr(thing) == f"<RemoteProxy for oid 1 on {local.peername}>"
    assert {"itself", "static", "constant"} <= set(dir(thing))
    completed = rlcompleter.Completer({"thing": thing}).attr_matches("thing.it")
    assert [each.partition("(")[0] for each in completed] == ["thing.itself"]
    assert calls == []


@pytest.mark.needs_sshd
@pytest.mark.parametrize(
    "version",
    [pytest.param(each, marks=pytest.mark.needs_pythons(f"python{each}")) for each in ("3.6", "3.7")],
)
def test_old_pythons(sshd: Sshd, version: str) -> None:
    """Under Pythons that pickle objects another way proxies are the same."""
    with easycluster.Client(
        host="h", ssh=True, rpython=find_pythons()[version], extra_args=sshd.options
    ) as client:
        same = client.eval("same")
        value = client.eval("same.inner()")
        assert value[same] == 1
        assert value["deep"][0][1]["deeper"] is same
        assert client.is_same(same)
        assert list(client.generate(3)) == [0, 1, 2]
        assert list(easycluster.options(client.generate(9), prefetch=3)) == list(range(9))
        with pytest.raises(StopIteration) as ended:
            next(client.eval("(lambda: (yield from ()) or [same])()"))
        assert ended.value.value[0] is same
        assert client.run(same.itself) is same
        assert client.is_same(*client.eval("[same] * 2"), client.things(40000)[0]) is False
        del ended
        client.execblock("make_singleton(singleton)")
        client.eval("[singleton]")[0].append(1)
        assert client.eval("len(singleton)") == 1
        assert list(client.Vector(1, 2)) == [1, 2]
        with pytest.raises(SerializationError, match="half way"):
            client.half_way(origexc="quiet")
        with pytest.raises(RemoteException):
            client.not_defined(origexc=False)
        kept(client, 1)
        del same, value
        kept(client, 0)
