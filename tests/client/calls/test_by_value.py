"""What goes by value, and what is sent ahead of it, over a session that only takes notes."""

from __future__ import annotations

import pickle
import socket
import sys
import threading
import zlib
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from easycluster_client._calls import by_value
from easycluster_client._calls.maker import CallMaker
from easycluster_protocol._handshake.hello import describe_self
from easycluster_protocol._wire import messages as m
from easycluster_protocol.errors import ConnectionLost, SerializationError

OWN = describe_self()
LOCK = threading.Lock()


class Session:
    """Takes notes of what would be sent.

    Args:
        python: the version of Python at the other end.
        implementation: of Python, there.

    Attributes:
        sent: kind and body of each message, in order.
    """

    def __init__(self, python: str = OWN.python, implementation: str = OWN.implementation) -> None:
        peer = SimpleNamespace(python=python, implementation=implementation)
        self.link = SimpleNamespace(agreement=SimpleNamespace(peer=peer))
        self.peername = "there:22"
        self.pickle_protocol = 5
        self.sent_packages: set[str] = set()
        self.references: Any = SimpleNamespace()
        self.sent: list[tuple[int, Any]] = []
        self.buffers: Any = ()
        self.lost = False

    def control(self, kind: int, thread: int = 0, body: bytes = b"") -> None:
        """Send a message that has no answer."""
        if self.lost:
            raise ConnectionLost("lost")
        self.sent.append((kind, body))

    def request(self, response: Any, kind: int, body: Any, buffers: Any, thread: int) -> None:
        """Send a call."""
        self.sent.append((kind, body))
        self.buffers = buffers


class Maker:
    """Makes calls over such a session."""

    def __init__(self, session: Any = None) -> None:
        self.session: Any = session
        if session is None:
            self.session = Session()
        client: Any = SimpleNamespace(peername="there:22")
        self._maker = CallMaker(client, "definitions")
        self._maker.open(self.session)

    def call(self, function: Any, *args: Any, **kwargs: Any) -> Any:
        """Call a function, wait for no answer; return what the server would unpickle."""
        self._maker.call(function, args, {**kwargs, "nonblocking": True})
        return pickle.loads(self.session.sent[-1][1], buffers=self.session.buffers)

    @property
    def kinds(self) -> list[int]:
        """The kinds of the messages that were sent."""
        return [kind for kind, _ in self.session.sent]


@pytest.fixture
def main(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A ``__main__`` of our own."""
    module = ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", module)
    exec(
        "class Plain: pass\nclass Full:\n    def method(self): return 7\ndef double(x): return 2 * x\n",
        vars(module),
    )
    return module


def test_what_has_a_name_goes_by_name() -> None:
    """Functions and classes that can be imported, and names, cause nothing else to be sent."""
    maker = Maker()

    assert maker.call("f", 1, b=2) == ("f", (1,), {"b": 2})
    assert maker.call(len, [1])[0] is len
    assert maker.call(Session, pickle.dumps)[:2] == (Session, (pickle.dumps,))
    assert (maker.kinds, maker.session.sent_packages) == ([m.CALL] * 3, set())


@pytest.mark.parametrize("value", ["__main__", "cloudpickle.cloudpickle", ["__main__.f"], {"__main__": 1}])
def test_texts_cause_no_sending(value: Any) -> None:
    """A text that only looks like what goes by value arrives as it is, also under another Python."""
    maker = Maker(Session("3.6.1"))

    assert maker.call("f", value) == ("f", (value,), {})
    assert maker.kinds == [m.CALL]


def test_functions_of_this_process() -> None:
    """Lambdas and closures go by value; what rebuilds them goes ahead, once for each connection."""
    maker, factor = Maker(), 3

    function, args, _ = maker.call(lambda x: x * factor, 2)
    assert function(*args) == 6
    assert maker.call("f", lambda: 5)[1][0]() == 5
    assert maker.call("f", key=[lambda: 6])[2]["key"][0]() == 6
    assert maker.kinds == [m.MODULES, m.CALL, m.CALL, m.CALL]
    assert maker.session.sent_packages == {"cloudpickle"}
    assert Maker().kinds == []


def test_what_goes_ahead() -> None:
    """It is the source of cloudpickle, all of it and nothing else."""
    maker = Maker()
    maker.call(lambda: None)
    data = zlib.decompress(maker.session.sent[0][1])

    assert data.startswith(b"cloudpickle 1 ")
    assert b"cloudpickle.cloudpickle 0 " in data
    assert len(maker.session.sent[0][1]) < 20_000


def test_main(main: Any) -> None:
    """What ``__main__`` defines goes by value although it has a name."""
    maker = Maker()

    assert maker.call(main.double, 4)[0] is not main.double
    assert maker.call("f", [main.Full()])[1][0][0].method() == 7
    assert maker.kinds == [m.MODULES, m.CALL, m.CALL]


def test_operations(main: Any) -> None:
    """Values of operations go by value, too."""
    maker = Maker()
    maker._maker.operation("set_value", ("name", main.double), {"nonblocking": True})

    assert pickle.loads(maker.session.sent[-1][1])[2][1](4) == 8
    assert maker.kinds == [m.MODULES, m.INVOKE]


def test_a_lost_connection() -> None:
    """When cloudpickle could not be sent, the next call tries again."""
    maker = Maker()
    maker.session.lost = True
    with pytest.raises(ConnectionLost):
        maker.call(lambda: None)
    assert maker.session.sent_packages == set()

    maker.session.lost = False
    maker.call(lambda: None)
    assert maker.kinds == [m.MODULES, m.CALL]


@pytest.mark.parametrize(
    ("python", "implementation"),
    [("3.6.15", "cpython"), ("3.99.1", "cpython"), (OWN.python, "pypy"), ("", "")],
)
def test_another_python(python: str, implementation: str, main: Any) -> None:
    """Code for another Python is not sent: the error names both, the host and what to do."""
    maker = Maker(Session(python, implementation))
    calls: list[tuple[Any, Any]] = [(main.double, 1), ("f", [main.Full()])]
    for function, argument in calls:
        with pytest.raises(SerializationError) as caught:
            maker.call(function, argument)
        text = str(caught.value)
        assert (
            f"there:22 runs {implementation} {python} and this is {OWN.implementation} {OWN.python}" in text
        )
        assert "define_common()" in text

    assert maker.kinds == []
    assert maker.call("f", 1) == ("f", (1,), {})


def test_another_patch_level() -> None:
    """Versions that differ in the last number only have the same bytecode."""
    maker = Maker(Session(OWN.python.rpartition(".")[0] + ".99rc1"))

    assert maker.call(lambda: 8)[0]() == 8


def test_classes_without_code(main: Any) -> None:
    """Instances of a class that holds no code go to any Python that can run cloudpickle, and to no other."""
    for python in ("3.8.0", "3.99.0"):
        assert type(Maker(Session(python)).call("f", main.Plain())[1][0]) is main.Plain
    for python in ("3.6.15", "3.7.1"):
        maker = Maker(Session(python))
        with pytest.raises(SerializationError, match="define_common"):
            maker.call("f", main.Plain())
        assert maker.kinds == []


def test_what_cannot_be_sent() -> None:
    """The error says which argument it was, of what; nothing was sent."""

    def locked() -> Any:
        return lock

    lock, maker = LOCK, Maker()
    for args, kwargs, part in [
        (("f", 1, lock), {}, "argument 2 of f (type lock)"),
        (("f", [locked]), {}, "argument 1 of f (type list)"),
        (("f", 1), {"key": locked}, "argument 'key' of f (type function)"),
        ((locked, 1), {}, "the function test_what_cannot_be_sent.<locals>.locked itself (type function)"),
    ]:
        with pytest.raises(SerializationError) as caught:
            maker.call(*args, **kwargs)
        assert str(caught.value).startswith(f"{part} cannot be sent: TypeError: cannot pickle")

    with pytest.raises(SerializationError, match="argument 2 of set_value"):
        maker._maker.operation("set_value", ("name", locked))
    assert maker.kinds == []


def test_what_can_be_pickled_only_once() -> None:
    """When the fault is not found again, the error is still one of the call."""

    class Fickle:
        tries = 0

        def __reduce__(self) -> Any:
            Fickle.tries += 1
            if Fickle.tries < 3:
                raise TypeError("not now")
            return int, ()

    with pytest.raises(SerializationError, match=r"an argument of f cannot be sent: TypeError: not now"):
        Maker().call("f", Fickle())


@pytest.mark.parametrize("function", [3, None, b"len", ("len",)])
def test_what_cannot_be_called(function: Any) -> None:
    """What is neither a function nor the name of one is a TypeError at once."""
    maker = Maker()
    with pytest.raises(TypeError, match="must be a function or the name of one"):
        maker.call(function)

    assert maker.kinds == []


def test_names_of_functions() -> None:
    """Errors name a function as Python does, and a callable object by its class."""

    class Adder:
        def __call__(self) -> None: ...

        def __reduce__(self) -> Any:
            raise TypeError("not me")

    with pytest.raises(SerializationError, match=r"the function Adder itself \(type Adder\)"):
        Maker().call(Adder())


def test_sources_are_made_once() -> None:
    """Clients share what is sent of cloudpickle."""
    assert by_value._pack_sources() is by_value._pack_sources()


def _generate() -> Any:
    yield 1


@pytest.mark.parametrize(
    ("make", "advice"),
    [
        (threading.Lock, "it belongs to this process: make it on the host, in a function of define_common()"),
        (socket.socket, "it belongs to this process: make it on the host, in a function of define_common()"),
        (_generate, "send a list(...) of its values"),
        (lambda: [_generate()], "send a list(...) of its values"),
        (sys._getframe, "make it on the host, in a function there; objects of classes given to"),
    ],
)
def test_advice(make: Any, advice: str) -> None:
    """The error says what to do for the kind of value that cannot be sent."""
    value = make()
    with pytest.raises(SerializationError) as caught:
        Maker().call("f", value)
    if isinstance(value, socket.socket):
        value.close()

    assert f" ({advice}" in str(caught.value)
