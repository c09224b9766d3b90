"""Objects that stay on the server, and their proxies."""

from __future__ import annotations

import gc
import pickle
import re
import rlcompleter
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

import easycluster
from easycluster import FileProxy, GeneratorProxy, RemoteProxy, define_common
from easycluster_client._calls import CallMaker
from easycluster_protocol import _exports
from easycluster_protocol._proxy_classes import ModuleProxy
from easycluster_protocol.errors import (
    ConnectionLost,
    DeserializationError,
    RemoteException,
    SerializationError,
)
from helpers.pythons import find_pythons
from helpers.sshd import Sshd
from helpers.waiting import wait_until

Connect = Callable[..., Any]

#: The number of objects that the server keeps for this client.
KEPT = "len(__import__('easycluster_protocol._proxies')._proxies.server_objects)"

#: The classes of the documentation, word for word, and what the tests need beside them.
DOCUMENTED = (
    """
class TestObject1(ServerObject):
   def __init__(self, val):
       self.val = val
   def getval(self):
       return self.val
   def newobj(self):
       return TestObject1(self.val + 1)

def get_object_vals(lst):
    return [obj.val for obj in lst]
""",
    """
class TestObject2(TestObject1):
    export_methods = ('getval',)
    export_attrs = ('val',)

class TestObject3Proxy(RemoteProxy):
    proxy_methods = ('getval',)
    proxy_attrs = ('val',)

class TestObject3(TestObject1):
    proxy_class = TestObject3Proxy
""",
    """
import array
make_server_class(array.array)
""",
)

DEFINITIONS = '''
import collections.abc

class Thing(ServerObject):
    constant_asked = 0
    export_attrs_cache = "constant"
    def __init__(self, value=0):
        self.value = value
    @property
    def constant(self):
        self.constant_asked += 1
        return "constant"
    def itself(self):
        return self
    def inner(self):
        return {"deep": [(self, {"deeper": self})], self: 1}
    @staticmethod
    def static(x):
        return x + 1
    @classmethod
    def name(cls):
        return cls.__name__
    def _private(self):
        return "private"

class Keyed(Thing):
    """Has its hash and its equality on the server."""
    def __hash__(self):
        return hash(self.value)
    def __eq__(self, other):
        return isinstance(other, Keyed) and self.value == other.value

class Vector(ServerObject):
    def __init__(self, *values):
        self.values = list(values)
    def __add__(self, other):
        if not isinstance(other, Vector):
            return NotImplemented
        return Vector(*(x + y for x, y in zip(self.values, other.values)))
    def __radd__(self, other):
        return ("radd", other)
    def __iadd__(self, number):
        self.values = [x + number for x in self.values]
        return self
    def __eq__(self, other):
        return isinstance(other, Vector) and self.values == other.values
    def __getitem__(self, index):
        return self.values[index]
    def __setitem__(self, index, value):
        self.values[index] = value
    def __delitem__(self, index):
        del self.values[index]
    def __len__(self):
        return len(self.values)
    def __contains__(self, value):
        return value in self.values
    def __iter__(self):
        return iter(self.values)
    def __bool__(self):
        return bool(self.values)
    def __call__(self, *args, **kwargs):
        return (args, kwargs)
    def __neg__(self):
        return Vector(*(-x for x in self.values))

class Context(ServerObject):
    seen = ()
    def __enter__(self):
        return "entered"
    def __exit__(self, kind, error, traceback):
        self.seen = (kind.__name__, str(error), traceback) if kind else (None, None, traceback)
        return kind is KeyError

class Unpicklable:
    def __reduce__(self):
        raise ValueError("half way")

class NotThere:
    def __reduce__(self):
        return int, ("no number",)

singleton = []
same = Thing(7)
produced = []

def things(count):
    return [Thing(number) for number in range(count)]

def values(nested):
    return [nested[0].value, nested[1]["key"][0].value, next(iter(nested[2])).value]

def is_same(*objects):
    return all(each is same for each in objects)

def generate(count):
    for number in range(count):
        produced.append(number)
        yield number

def half_way():
    return things(5) + [same, Unpicklable()]

def not_there():
    return things(5) + [same, NotThere()]

def run(function):
    return function()

def file(path, mode):
    return open(path, mode)
'''


@pytest.fixture(autouse=True)
def no_server_classes() -> Iterator[None]:
    """The classes that definitions register here, too, are forgotten after the test."""
    before = dict(_exports._registered)
    yield
    _exports._registered.clear()
    _exports._registered.update(before)
    _exports._known.clear()


@pytest.fixture
def client(connect: Connect) -> Any:
    """A connected client with the definitions."""
    define_common(DEFINITIONS)
    return connect()


@pytest.fixture
def local(spawn: Connect) -> Any:
    """A client of a local server with the definitions, for what is the same over every transport."""
    define_common(DEFINITIONS)
    return spawn()


def kept(client: Any, count: int) -> None:
    """Wait until the server keeps so many objects; each call takes along what is to be given back."""
    gc.collect()
    wait_until(lambda: client.eval(KEPT) == count, what=f"{count} objects on the server")


def kind_of(proxy: Any) -> Any:
    """The class of a proxy; type checkers make nothing of it."""
    return proxy.__class__


# The documentation.


def test_documented_examples(connect: Connect) -> None:
    """The section "Manipulating objects on the server".

    Changed: get_object_vals gets its list in parentheses, and array.array an iterable, as they must.
    """
    rmt = connect()
    for code in DOCUMENTED:
        define_common(code)
    rmt.update_definitions()

    obj1 = rmt.TestObject1(100)
    assert repr(obj1) == f"<RemoteProxy for oid 1 on {rmt.peername}>"
    assert obj1.getval() == 100
    obj2 = obj1.newobj()
    assert repr(obj2) == f"<RemoteProxy for oid 2 on {rmt.peername}>"
    assert obj2.getval() == 101
    assert rmt.get_object_vals([obj1, obj2]) == [100, 101]

    obj2 = rmt.TestObject2(200)
    assert (obj2.val, obj2.getval()) == (200, 200)
    expected = "'dynamic_proxy_getval_val' object has no attribute 'non_existant_method'; exported are the methods getval"
    with pytest.raises(AttributeError, match=f"^{expected}"):
        obj2.non_existant_method()
    obj3 = rmt.TestObject3(300)
    assert str(kind_of(obj3)) == "<class 'easycluster.remote_code.TestObject3Proxy'>"
    assert obj3.val == 300

    rmt_array = rmt.array.array("B", bytes(1234))
    assert RemoteProxy in kind_of(rmt_array).__mro__
    rmt_array.append(5)
    assert (len(rmt_array), rmt_array[1234], rmt_array.typecode) == (1235, 5, "B")


# Identity and life.


def test_identity(client: Any) -> None:
    """The same object is the same proxy, in any container of any answer; passed back it is the object itself."""
    same = client.eval("same")

    assert client.eval("same") is same
    assert same.itself() is same
    value = client.eval("same.inner()")
    assert value["deep"][0][0] is same
    assert value["deep"][0][1]["deeper"] is same
    assert value[same] == 1
    assert client.is_same(same, client.eval("same"))
    assert client.eval("Thing(7)") is not same
    other = client.Thing(8)
    assert client.values([same, {"key": (other,)}, {same}]) == [7, 8, 7]

    def add_one(thing: Any) -> Any:
        return thing.value + 1

    assert client.call(add_one, same) == 8
    assert same.raw_call_method("itself") is same


def test_keys_that_are_hashed_on_the_server(local: Any) -> None:
    """Proxies whose hash the server computes may be keys: unpickling them calls it, in the middle of the answer."""
    one, two, three = local.eval("[{Keyed(1): 'a'}, {Keyed(2): {Keyed(3)}}, Thing()]")

    assert list(one.values()) == ["a"]
    ((key, inner),) = two.items()
    assert hash(key) == 2
    assert key == local.Keyed(2)
    assert hash(next(iter(inner))) == 3
    assert three.value == 0
    del one, two, three, key, inner
    kept(local, 0)


def test_released_when_the_last_reference_goes(client: Any) -> None:
    """The server lets an object go when its proxy is gone, and keeps those whose proxies are there."""
    things = client.things(50)
    kept(client, 50)
    del things[10:]
    kept(client, 10)
    assert [thing.value for thing in things] == list(range(10))
    method = things[3].name
    del things
    kept(client, 1)
    assert method() == "Thing"
    del method
    kept(client, 0)


def test_answers_that_nobody_reads(client: Any) -> None:
    """Responses that are dropped, before or after their answers came, cost the server nothing in the end."""
    same = client.eval("same")
    responses = [client.things(20, nonblocking=True) for _ in range(20)]
    del responses[5:]
    responses += [client.eval("same", nonblocking=True) for _ in range(20)]
    responses[-1].wait()
    del responses
    kept(client, 1)

    assert same.value == 7


def test_failures_give_back(client: Any) -> None:
    """Results that fail to be pickled half way, or to be unpickled, are errors that leave nothing behind."""
    with pytest.raises(
        SerializationError, match="the result of half_way cannot be sent: ValueError: half way"
    ):
        client.half_way(origexc="quiet")
    with pytest.raises(DeserializationError, match="the result of not_there"):
        client.not_there()
    kept(client, 0)
    same = client.eval("same")
    for function in (client.half_way, client.not_there):
        with pytest.raises((SerializationError, DeserializationError)):
            function(origexc="quiet")
    kept(client, 1)

    assert client.is_same(same)


class Collects:
    """In a circle with what it holds; its finaliser looks for more of its kind."""

    def __init__(self, held: Any) -> None:
        self.held = held
        self.circle = self

    def __del__(self) -> None:
        gc.collect(0)


@pytest.fixture
def dropping_handler(local: Any) -> Iterator[list[Any]]:
    """A signal handler that runs again and again, and drops proxies that the main thread has made; gives these."""
    held = local.things(300)

    def drop(*_: object) -> None:
        if held:
            held.pop()
        gc.collect(0)

    before = signal.signal(signal.SIGALRM, drop)
    signal.setitimer(signal.ITIMER_REAL, 0.002, 0.002)
    yield held
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def test_threads_that_make_and_drop(local: Any, dropping_handler: list[Any]) -> None:
    """64 threads make, use and drop proxies, with collections in finalisers and signal handlers: no deadlock, and
    nothing is left."""
    errors: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for turn in range(6):
                things = local.things(4, threadid=number % 8)
                assert things[turn % 4].value == turn % 4
                assert local.is_same(local.eval("same"))
                Collects(things)
                local.things(2, nonblocking=True)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    dropping_handler.clear()

    assert errors == []
    kept(local, 0)


def test_ten_thousand_crossings(local: Any) -> None:
    """Answers that name the same objects while their proxies come and go: each proxy is of an object that is there."""
    responses = [local.eval("[same, Thing(3)]", nonblocking=True) for _ in range(100)]
    for turn in range(5000):
        same, thing = responses.pop(0).wait()
        if turn % 100 == 0:
            assert (same.value, thing.value) == (7, 3)
        del same, thing
        responses.append(local.eval("[same, Thing(3)]", nonblocking=True))
    del responses
    kept(local, 0)


# Where proxies may go, and when they end.


def test_on_another_connection(local: Any, spawn: Connect) -> None:
    """Passing a proxy to another connection, or pickling it, is a `TypeError` that names it; nothing was called."""
    other = spawn()
    thing = local.Thing()
    name = re.escape(repr(thing))

    with pytest.raises(TypeError, match=f"argument 1 of len .*{name} cannot be passed to {other.peername}"):
        other.call("len", [thing])
    with pytest.raises(TypeError, match=f"{name} cannot be passed outside of a call"):
        pickle.dumps({"thing": thing})
    assert (other.eval("5"), thing.value) == (5, 0)


def test_after_the_connection(client: Any) -> None:
    """After close() and reconnect() a proxy says that it has ended; new objects are not taken for it."""
    thing = client.Thing(1)
    reconnects = client.remote_host is not None
    if reconnects:
        client.reconnect()
    else:
        client.close()

    assert thing.proxy_connection is None
    ended = "on which this object was given has ended"
    with pytest.raises(ConnectionLost, match=ended):
        thing.itself()
    with pytest.raises(ConnectionLost, match=ended):
        _ = thing.value
    with pytest.raises(ConnectionLost, match=ended):
        thing.value = 3
    assert re.fullmatch(r"<RemoteProxy for oid 1 on .*>", repr(thing))
    if reconnects:
        other = client.Thing(2)
        assert other.proxy_object_id == thing.proxy_object_id
        with pytest.raises(TypeError, match="has ended"):
            client.is_same(thing)
        del thing
        assert client.eval("1") == 1
        assert other.value == 2
        kept(client, 1)


def test_made_on_the_client(local: Any) -> None:
    """An instance of such a class that was made on the client goes by value, and stays where it arrives."""
    import easycluster.remote_code as code

    here = code.Thing(12)
    there = local.call("Thing.itself", here)
    here.value = 13

    assert issubclass(kind_of(there), RemoteProxy)
    assert there.value == 12


# What classes export.


def test_methods_and_attributes(client: Any) -> None:
    """By default methods of each kind, and attributes: got, set, deleted, those that never change asked for once."""
    thing = client.Thing(3)

    assert (thing.static(1), thing.name()) == (2, "Thing")
    thing.value = 4
    thing.other = [thing]
    assert thing.other[0] is thing
    assert client.values([thing, {"key": [thing]}, [thing]]) == [4, 4, 4]
    del thing.other
    assert not hasattr(thing, "other")
    assert [thing.constant, thing.constant, thing.constant_asked] == ["constant", "constant", 1]
    assert thing._private() == "private"
    method = thing.itself
    assert client.call("run", method) is thing


def test_missing_attributes_are_quiet(local: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """``hasattr`` and ``getattr`` with a default print nothing; the error is the server's."""
    thing, module = local.Thing(), local.eval("__import__('math')")

    assert not hasattr(thing, "nothing")
    assert getattr(module, "nothing", 5) == 5
    with pytest.raises(AttributeError, match="^'Thing' object has no attribute 'nothing'"):
        _ = thing.nothing
    assert capsys.readouterr().err == ""


def test_subclasses_have_their_own(local: Any) -> None:
    """A subclass of a class that was used exports its own, by name, by ``@auto`` or both; the server insists on it."""
    define_common(
        "class More(Thing):\n"
        "    export_methods = ('@auto', 'made_later')\n"
        "    export_attrs = 'value'\n"
        "    def __getattr__(self, name):\n"
        "        if name == 'made_later':\n"
        "            return lambda: 'late'\n"
        "        raise AttributeError(name)\n"
        "class Less(More):\n"
        "    export_methods = 'name'\n"
    )
    local.update_definitions()
    local.Thing()
    more, less = local.More(1), local.Less(2)

    assert (more.made_later(), more.itself() is more, more.value) == ("late", True, 1)
    assert (less.name(), less.value) == ("Less", 2)
    with pytest.raises(
        AttributeError, match="exported are the methods name and the attributes constant, value"
    ):
        less.itself()
    for attribute in ("itself", "_private", "__class__", "__dict__", "constant_asked"):
        for ask in (less.raw_get_attribute, less.raw_call_method):
            with pytest.raises(
                AttributeError, match=f"does not export '{attribute}'; it exports the methods name"
            ):
                ask(attribute, origexc="quiet")
        with pytest.raises(AttributeError, match="does not export"):
            less.raw_set_attribute(attribute, 1, origexc="quiet")
    with pytest.raises(AttributeError, match="does not export '__init__'"):
        local.Thing().raw_call_method("__init__", [3], origexc="quiet")


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
        assert file.read() == b"x 1\ny\nz\n"


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

    assert issubclass(kind_of(values), Sequence)
    assert (values.here(), values[1], values[-1]) == ("here 3", "b", "c")
    default = local.Default(9)
    default.local = 2
    default.remote = 3
    assert local.call("getattr", default, "remote") == 3
    assert local.call("hasattr", default, "local") is False
    assert (default.local, default.value, default.name(), default.static(4)) == (2, 9, "Default", 5)
    assert default.itself() is default


def test_classes_that_know_nothing(client: Any) -> None:
    """`make_server_class` on extension types, also those that pickling knows well, and for subclasses."""
    define_common(
        "import collections\n"
        "make_server_class(collections.deque)\n"
        "make_server_class(set, ('add', '__len__'), ())\n"
        "class Own(collections.deque):\n"
        "    def own(self):\n"
        "        return 'own'\n"
    )
    client.update_definitions()
    queue, own, members = client.eval("[collections.deque([1]), Own(), {1, 2}]")

    queue.append(2)
    assert (queue[1], len(queue), own.own()) == (2, 2, "own")
    members.add(3)
    assert len(members) == 3
    with pytest.raises(AttributeError, match="exported are the methods __len__, add"):
        members.clear()


def test_singletons(client: Any) -> None:
    """`make_singleton` on a list: that list stays, wherever it stands; others are copied."""
    client.execblock("make_singleton(singleton)")
    proxy = client.eval("singleton")

    proxy.append(proxy)
    proxy.append([5])
    assert client.eval("singleton[0] is singleton and len(singleton)") == 2
    value = client.eval("{'there': (singleton, [singleton, 1], same)}")
    assert value["there"][0] is value["there"][1][0] is proxy
    assert value["there"][2].value == 7
    assert proxy[1] == [5]
    del proxy, value
    kept(client, 0)


def test_wrong_settings(local: Any) -> None:
    """A class that exports what cannot be exported costs the calls that return it, with an error that says so."""
    define_common("class Wrong(ServerObject):\n    export_methods = ('fine', '__class__')\n")
    local.update_definitions()

    with pytest.raises(
        SerializationError, match="export_methods of Wrong holds '__class__', which cannot be exported"
    ):
        local.Wrong(origexc="quiet")
    kept(local, 0)


# What a server might make up.


@pytest.mark.parametrize(
    "name",
    [
        "__class__",
        "__init__",
        "__reduce__",
        "_easycluster",
        "raw_call_method",
        "proxy_object_id",
        "no name",
        "__dict__",
    ],
)
def test_malicious_descriptors(local: Any, name: str) -> None:
    """A server that describes a proxy with such a name gets an error; the client's classes are as before."""
    define_common(
        "class Evil:\n"
        "    def __init__(self, name):\n"
        "        self.name = name\n"
        "    def __reduce__(self):\n"
        "        from easycluster_protocol._proxies import find_proxy, server_objects\n"
        "        return find_proxy, (99, ((self.name,), (), (), True))\n"
        "def evil(name):\n"
        "    return [Thing(), Evil(name)]\n"
    )
    local.update_definitions()
    before = dict(vars(RemoteProxy))

    with pytest.raises(DeserializationError, match=f"cannot have a remote attribute named {name!r}"):
        local.evil(name)

    assert dict(vars(RemoteProxy)) == before
    kept(local, 0)


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


# Servers of other versions.


@pytest.mark.needs_sshd
@pytest.mark.parametrize(
    "version",
    [pytest.param(each, marks=pytest.mark.needs_pythons(f"python{each}")) for each in ("3.6", "3.7")],
)
def test_old_pythons(sshd: Sshd, version: str) -> None:
    """Under Pythons that pickle objects another way proxies are the same."""
    define_common(DEFINITIONS)
    with easycluster.Client(
        host="h", ssh=True, rpython=find_pythons()[version], extra_args=sshd.options
    ) as client:
        same = client.eval("same")
        value = client.eval("same.inner()")
        assert value[same] == 1
        assert value["deep"][0][1]["deeper"] is same
        assert client.is_same(same)
        assert list(client.generate(3)) == [0, 1, 2]
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


def test_arguments_that_are_dropped_at_once(local: Any) -> None:
    """A proxy may be dropped while a call that it was passed to, or made on, has not begun yet."""
    local.execblock("import threading\ngo_on = threading.Event()")
    first, second = local.Thing(1), local.Thing(2)
    waiting = local.eval("go_on.wait(30)", nonblocking=True)
    responses = [local.is_same([first], nonblocking=True), second.itself(nonblocking=True)]
    del first, second
    gc.collect()
    local.eval("None", threadid=1)  # takes along what is given back
    local.eval("go_on.set()", threadid=1)
    waiting.wait()

    assert responses[0].wait() is False
    assert responses[1].wait().value == 2
