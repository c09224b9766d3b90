"""The classes of proxies: as type checkers see them, and what their proxies do."""

from __future__ import annotations

import io
import itertools
import pickle
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from easycluster_protocol._objects.exports import find_exports
from easycluster_protocol._objects.proxies import RemoteProxy
from easycluster_protocol._objects.proxy_classes import (
    _MAX_NAMES,
    DefaultRemoteProxy,
    FileProxy,
    GeneratorProxy,
    ModuleProxy,
    RemoteIterator,
    SelfIterProxy,
    make_proxy_class,
)
from easycluster_protocol._values.object_pickle import dumps_result
from helpers.fake_proxies import Numbers, make, sent

ROOT = Path(__file__).parents[3]

#: Each line that is wrong says so.
SNIPPET = """# pyright: strict

from easycluster import FileProxy, GeneratorProxy, RemoteProxy

def use(file: FileProxy, numbers: GeneratorProxy, proxy: RemoteProxy) -> None:
    text: str = file.read()
    file.read(5, nonblocking=True).wait()
    print("x", file=file)
    file.writelines(["a", "b"], threadid=3)
    file.seek(0, 2)
    for line in file:
        print(line)
    with file as same:
        same.close()
    if file.closed and file.name and file.mode.startswith("r"):
        file.flush()
    numbers.send(4)
    numbers.throw(ValueError("x"))
    numbers.close()
    for number in numbers:
        print(number)
    first = next(numbers)
    print(text, first, proxy.anything(1).at_all, list(numbers))
    file.read("x")  # wrong
    file.write()  # wrong
    file.seek()  # wrong
    file.closed.read()  # wrong
    numbers.send()  # wrong
"""


@pytest.mark.parametrize(
    "checker", [["mypy", "--strict"], ["pyright", "--pythonpath", sys.executable]], ids=["mypy", "pyright"]
)
def test_files_and_generators(checker: list[str], tmp_path: Path) -> None:
    """The methods of files and generators have types: correct code needs no exception, wrong code is found."""
    snippet = tmp_path / "snippet.py"
    snippet.write_text(SNIPPET)
    command = [sys.executable, "-m", *checker, str(snippet)]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    found = {int(line) for line in re.findall(r"snippet\.py:(\d+):.*error", result.stdout)}
    wrong = {number for number, line in enumerate(SNIPPET.splitlines(), 1) if line.endswith("# wrong")}
    assert found == wrong, result.stdout + result.stderr


def test_any_attribute() -> None:
    """With ``@auto`` attributes the server is asked for what the proxy does not know, but not for special names."""
    proxy = make((("method",), (), (), True))

    assert proxy.whatever == "answer"
    proxy.whatever = 3
    del proxy.whatever
    assert [each[0] for each in sent(proxy)] == ["get", "set_attribute", "delete_attribute"]
    with pytest.raises(AttributeError, match="has no attribute '__wrapped__'"):
        _ = proxy.__wrapped__
    assert not hasattr(proxy, "__array__")
    assert len(sent(proxy)) == 3


def test_default_proxy() -> None:
    """Names that the class of a `DefaultRemoteProxy` defines stay local, all others are forwarded."""

    class Mine(DefaultRemoteProxy):
        here = 1
        proxy_methods = "method"
        proxy_attrs = ("val",)

        def double(self) -> int:
            return 2 * self.here

    proxy = make(Mine)
    proxy.here = 4
    assert proxy.double() == 8
    del proxy.here
    assert (proxy.here, sent(proxy)) == (1, [])

    proxy.val = 5
    proxy.there = 6
    assert proxy.method() == "answer"
    assert [each[1] for each in sent(proxy)] == [("val", 5), ("there", 6), ()]
    assert list(object.__getattribute__(proxy, "__dict__")) == ["_easycluster_state"]


def test_setting_what_is_not_there() -> None:
    """A proxy whose class was made on the fly has no attributes here: methods, and names that are not exported,
    cannot be set, and the error says why."""
    less, more = (
        make((("getval",), ("val",), ("constant",), False)),
        make((("getval",), ("val",), ("constant",), True)),
    )
    with pytest.raises(AttributeError) as caught:
        less.other = 5
    assert str(caught.value) == (
        "'dynamic_proxy_getval_val_constant' object has no attribute 'other'; "
        "exported are the methods getval and the attributes constant, val"
    )

    for proxy in (less, more):
        for name, reason in (
            ("getval", "it is a method"),
            ("proxy_object_id", "every proxy has it"),
            ("raw_call_method", "every proxy has it"),
            ("__class__", "every proxy has it"),
        ):
            with pytest.raises(AttributeError, match=f"attribute '{name}' cannot be set: {reason}$"):
                setattr(proxy, name, RemoteProxy)
        with pytest.raises(AttributeError):
            del proxy.getval
        proxy.val = 3
        assert (list(vars(proxy)), len(sent(proxy))) == (["_easycluster_state"], 1)
    more.other = 5
    assert sent(more)[1] == ("set_attribute", ("other", 5), None)


def test_iterators() -> None:
    """``iter()`` of iterators, generators and files is themselves, and nobody is asked."""
    for kind in (SelfIterProxy, GeneratorProxy, FileProxy):
        proxy = make(kind)
        assert iter(proxy) is proxy
        assert sent(proxy) == []
        assert next(proxy) == "answer"


def test_one_type_for_each_set_of_names() -> None:
    """Proxies that export the same are of one type; its name holds all names, each kind sorted."""
    kind = make_proxy_class((("b", "a"), ("d", "c"), ("e",), False))

    assert kind.__name__ == "dynamic_proxy_a_b_c_d_e"
    assert make_proxy_class((("b", "a"), ("d", "c"), ("e",), False)) is kind
    assert make_proxy_class((("b", "a"), ("d", "c"), ("e",), True)) is not kind


def test_operators_that_are_switched_off() -> None:
    """They are None, as in the class of the object; every other name is left out."""
    off = ("__hash__", "__repr__", "__reduce_ex__", "raw_call_method", "later")
    kind = make_proxy_class((("__eq__",), (), (), False, (), off))

    assert vars(kind)["__hash__"] is None
    assert not {*off[1:]} & {*vars(kind)}
    assert kind.__name__ == "dynamic_proxy___eq__"
    assert kind is not make_proxy_class((("__eq__",), (), (), False))


def test_names_of_large_classes() -> None:
    """A class with so many names that they would make a long name is named by the class of the object."""
    names = ("x" * 186,)
    kind = make_proxy_class((names, (), (), False, (), (), "torch.Tensor"))
    longer = make_proxy_class(((*names, "y"), (), (), False, (), (), "torch.Tensor"))

    assert kind.__name__ == f"dynamic_proxy_{names[0]}"
    assert make_proxy_class((names, (), (), False, (), (), "another.Class")) is kind
    assert longer.__name__ == longer.__qualname__ == "Proxy[torch.Tensor]"
    assert make_proxy_class(((*names, "y"), (), (), False, (), (), "torch.Tensor")) is longer
    assert (
        make_proxy_class(((*names, "y"), (), (), False, (), (), "another.Class")).__name__
        == "Proxy[another.Class]"
    )
    assert len(make_proxy_class(((*names, "y"), (), (), False, (), (), "z" * 999)).__name__) == 207
    many = make((tuple(f"method_{number}" for number in range(500)), (), (), False, (), (), "torch.Tensor"))
    with pytest.raises(
        AttributeError, match=r"^'Proxy\[torch.Tensor\]' object has no attribute 'x'"
    ) as caught:
        _ = many.x
    assert str(caught.value).endswith(
        "exported are 500 methods and 0 attributes, which dir() of the proxy lists"
    )


def descriptor_of(value: Any) -> Any:
    """The description of a server object that the client gets."""
    exports = find_exports(value)
    assert exports is not None
    return exports.descriptor


def test_proxies_by_themselves() -> None:
    """Generators, files and modules are server objects from the beginning."""

    def generate() -> Iterator[int]:
        yield 1

    for value, kind in ((generate(), GeneratorProxy), (pickle, ModuleProxy)):
        _, _, named = dumps_result([value], 5, Numbers())
        assert list(named) == [8]
        assert descriptor_of(value) is kind
    with open(__file__, encoding="utf-8") as text, open(__file__, "rb") as data:
        assert [descriptor_of(file) for file in (text, data, data.raw)] == [FileProxy] * 3


@pytest.mark.parametrize(
    "descriptor",
    [
        None,
        pytest.param(object(), id="an object"),
        int,
        ((), (), ()),
        ((), (), (), True, 5),
        ((), (), (), True, (), 5),
        ((), (), (), True, (), (), "name", ()),
        (("x" * 200,), (), (), True, (), (), 5),
        (("x" * 200,), (), (), True, (), (), "a\0name"),
        [(), (), (), True],
        ("ab", (), (), True),
        ((), ["a"], (), True),
        ((), (), (1,), True),
        ((b"a",), (), (), False),
        (tuple(f"name{number}" for number in range(_MAX_NAMES + 1)), (), (), False),
    ],
    ids=lambda descriptor: repr(descriptor)[:30],
)
def test_descriptors_that_cannot_be_used(descriptor: Any) -> None:
    """A server that describes a proxy by anything else than a class of proxies or names is refused."""
    with pytest.raises(TypeError, match="server object"):
        make_proxy_class(descriptor)


def test_files_in_memory_are_copied() -> None:
    """Only files that are outside of the process stay on the server."""
    for value in (io.BytesIO(b"x"), io.StringIO("x")):
        assert find_exports(value) is None
    with tempfile.NamedTemporaryFile() as file:
        assert descriptor_of(file) is FileProxy


def test_lazy_iterators() -> None:
    """Iterators that compute their values stay on the server; those over values that exist are copied."""
    lazy = [
        map(abs, []),
        filter(None, []),
        zip(),
        enumerate([]),
        reversed("ab"),
        iter(int, 1),
        re.finditer("a", ""),
    ]
    of_itertools = [itertools.chain(), itertools.starmap(pow, []), itertools.count(), *itertools.tee([])]
    for value in (*lazy, *of_itertools):
        assert descriptor_of(value) is SelfIterProxy
    copied: Any = (iter([]), iter({}.items()), reversed([1]), range(2), {}.keys(), partial(abs, 1))
    assert not any(map(find_exports, copied))


def test_iterators_of_server_objects() -> None:
    """An iterator that stays on the server gives its values there, and its proxies are iterators."""
    iterator = RemoteIterator(iter("ab"))

    assert [next(iterator), next(iterator)] == ["a", "b"]
    with pytest.raises(StopIteration):
        next(iterator)
    assert descriptor_of(iterator) is SelfIterProxy
