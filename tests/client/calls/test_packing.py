"""The values of a call as bytes, and the proxies among them."""

from __future__ import annotations

import pickle
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from easycluster_client._calls import by_value, packing
from easycluster_client._calls.packing import pack, pack_and_hold
from easycluster_client._session.references import References
from easycluster_protocol import _pickling
from easycluster_protocol._objects.proxies import RemoteProxy, context
from easycluster_protocol._wire import messages as m
from easycluster_protocol.errors import SerializationError

#: More than what travels inside of a pickle.
LARGE = bytes(200_000)


class FakeSession:
    """A connection, as far as packing needs one."""

    def __init__(self) -> None:
        self.pickle_protocol = 5
        self.peername = "host:1"
        self.error = None
        self.has_reported_end = False
        self.references = References(self)
        self.references.maker = SimpleNamespace(session=self, client="the client", new_proxy_state=State)


class State:
    """What a proxy knows: it may be pickled on its own connection."""

    peername = "host:1"

    def __init__(self, oid: int, references: Any) -> None:
        self.oid = oid
        self._references = references

    def check_pickling(self, references: Any) -> None:
        """Make sure that the proxy is pickled for its own connection."""
        assert references is self._references


@pytest.fixture
def session() -> Any:
    """The connection."""
    return FakeSession()


@pytest.fixture
def packed_by_value(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """The calls that are packed by value: nothing else is done about them."""
    calls: list[tuple[Any, ...]] = []

    def note(*arguments: Any) -> Any:
        calls.append(arguments)
        return b"by value", ()

    monkeypatch.setattr(by_value, "pack", note)
    return calls


class Noting:
    """Notes while it is pickled for which connection that is done, and what passes beside it."""

    def __init__(self) -> None:
        self.found: list[Any] = []

    def __reduce__(self) -> Any:
        self.found.append(getattr(context, "references", None))
        return str, ("noted",)


@pytest.mark.parametrize(
    "values",
    [
        ("f", (), {}),
        ("f", (1, "two", b"three", 4.0, None, True), {}),
        (3, "method", (), {}),
        (3, "method", (1,), {}),
    ],
    ids=repr,
)
def test_plain_values(session: Any, monkeypatch: pytest.MonkeyPatch, values: Any) -> None:
    """Calls of plain values are pickled the short way, in the protocol of the connection, with nothing beside."""
    protocols: list[int] = []

    def dumps(value: Any, protocol: int) -> bytes:
        protocols.append(protocol)
        return pickle.dumps(value, protocol)

    monkeypatch.setattr(packing, "_pickling", SimpleNamespace(dumps=dumps))
    session.pickle_protocol = 4
    body, buffers = pack(values, session, "f")

    assert pickle.loads(body) == values
    assert (protocols, buffers) == ([4], ())


@pytest.mark.parametrize(
    "values",
    [("f", ([1],), {}), ("f", (1, [2]), {}), ("f", (), {"key": 1}), (len, (), {}), (len, (1,), {})],
    ids=repr,
)
def test_other_values(session: Any, monkeypatch: pytest.MonkeyPatch, values: Any) -> None:
    """All other values are pickled the general way."""
    monkeypatch.setattr(packing, "_pickling", None)
    session.pickle_protocol = 4
    body, buffers = pack(values, session, "f")

    assert pickle.loads(body) == values
    assert list(buffers) == []
    assert body[1] == 4


def test_large_values_travel_beside(session: Any) -> None:
    """Large buffers travel beside the pickle, as they are."""
    body, buffers = pack(("f", ([pickle.PickleBuffer(LARGE)],), {}), session, "f")

    assert len(body) < 1000
    assert [memoryview(buffer).nbytes for buffer in buffers] == [len(LARGE)]


class Text(str):
    """A text of a class of its own."""

    __slots__ = ()


def test_name_of_a_class_of_its_own(session: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a plain text is a name that goes the short way."""
    monkeypatch.setattr(packing, "_pickling", None)
    body, _ = pack((Text("f"), (), {}), session, "f")

    assert pickle.loads(body) == ("f", (), {})


def test_memory_that_does_not_suffice(session: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the short way runs out of memory, the general way says of which argument."""

    def dumps(value: Any, protocol: int) -> bytes:
        raise MemoryError

    monkeypatch.setattr(packing, "_pickling", SimpleNamespace(dumps=dumps))
    body, _ = pack(("f", (1,), {}), session, "f")

    assert pickle.loads(body) == ("f", (1,), {})


def test_connection_of_proxies(session: Any) -> None:
    """While values are pickled their connection is known, and afterwards the one of before."""
    noting, outer = Noting(), FakeSession()
    context.references = outer.references
    try:
        pack(("f", (noting,), {}), session, "f")
        after = context.references
    finally:
        context.references = None
    pack(("f", (noting,), {}), session, "f")

    assert noting.found == [session.references] * 2
    assert after is outer.references
    assert context.references is None


def test_connection_of_proxies_after_an_error(
    session: Any, packed_by_value: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When pickling fails, the connection of before is known again, too."""

    def fail(*arguments: Any) -> Any:
        raise SerializationError("cannot be pickled")

    monkeypatch.setattr(by_value, "pack", fail)
    with pytest.raises(SerializationError, match="cannot be pickled"):
        pack(("f", ([lambda: None],), {}), session, "f")

    assert getattr(context, "references", None) is None


def test_values_that_exist_only_here(
    session: Any, packed_by_value: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Values that cannot be pickled by name, and those that name the script, go by value."""

    def script(value: Any) -> None:
        """A function of the script."""

    script.__module__, script.__qualname__ = "__main__", "script"
    monkeypatch.setattr(sys.modules["__main__"], "script", script, raising=False)
    found = [pack(("f", ([value],), {}), session, "f") for value in (lambda: 1, script)]

    assert found == [(b"by value", ())] * 2
    assert [arguments[1:] for arguments in packed_by_value] == [(session, "f")] * 2
    assert [arguments[0][1][0][0].__name__ for arguments in packed_by_value] == ["<lambda>", "script"]


def test_values_with_names(session: Any, packed_by_value: list[tuple[Any, ...]]) -> None:
    """What the server finds by its name does not go by value."""
    body, _ = pack((len, ([_pickling.dumps],), {}), session, "len")

    assert pickle.loads(body) == (len, ([_pickling.dumps],), {})
    assert packed_by_value == []


# Holding proxies.


class Proxy(RemoteProxy):
    """A proxy of a class that a script defined."""


def hold(session: Any, kind: int, values: Any) -> tuple[Any, list[Any]]:
    """Pack a call; return its body, and what its response holds."""
    response: Any = SimpleNamespace(call_label="f", call_proxies=None)
    body, _ = pack_and_hold(kind, values, session, response)
    return body, response.call_proxies


def test_call_without_proxies(session: Any) -> None:
    """A call without proxies holds none."""
    body, held = hold(session, m.CALL, ("f", (1,), {}))

    assert pickle.loads(body) == ("f", (1,), {})
    assert held == []


def test_response_holds_the_proxies_of_its_call(session: Any) -> None:
    """A response holds the proxies that its call was given, until it is answered."""
    proxies = [session.references.find_proxy(oid, Proxy) for oid in (5, 6)]
    _, held = hold(session, m.CALL, ("f", ([proxies[0], {"key": proxies[1]}],), {}))

    assert held == proxies


def test_response_holds_the_proxy_whose_method_it_is(session: Any) -> None:
    """The response of a method holds the proxy of its object; a call of an operation or of a global holds none."""
    proxy = session.references.find_proxy(5, Proxy)

    assert hold(session, m.INVOKE, (5, "method", (), {}))[1] == [proxy]
    assert hold(session, m.INVOKE, (6, "method", (), {}))[1] == [None]
    assert hold(session, m.INVOKE, (0, "eval", (), {}))[1] == []
    assert hold(session, m.CALL, ("f", (), {}))[1] == []


class AsksWhetherAllowed:
    """Is replaced by whether memory of devices may be copied while it is pickled."""

    def __reduce__(self) -> Any:
        return bool, (context.device_memory,)


def test_memory_of_devices(session: Any) -> None:
    """The option goes ahead of the values, and holds for the arguments of its call alone."""
    response: Any = SimpleNamespace(call_label="f")
    proxy = session.references.find_proxy(5, Proxy)
    values: Any = (5, "method", (AsksWhetherAllowed(),), {})

    with_option, _ = pack_and_hold(m.INVOKE, values, session, response, True)
    assert pickle.loads(with_option) == ({"device_memory": True}, 5, "method", (True,), {})
    assert response.call_proxies == [proxy]
    assert pickle.loads(pack_and_hold(m.INVOKE, values, session, response)[0]) == (5, "method", (False,), {})


class Calls:
    """Makes another call while it is pickled, as a value of a script may."""

    def __init__(self, session: Any, proxy: Any) -> None:
        self._session, self._proxy = session, proxy
        self.held: list[Any] = []

    def __reduce__(self) -> Any:
        self.held = hold(self._session, m.CALL, ("g", ([self._proxy],), {}))[1]
        return str, ("called",)


def test_call_that_is_made_while_another_is_packed(session: Any) -> None:
    """Each of two calls, of which one is made while the other is packed, holds its own proxies."""
    inner, outer = (session.references.find_proxy(oid, Proxy) for oid in (5, 6))
    calls = Calls(session, inner)
    _, held = hold(session, m.CALL, ("f", ([calls, outer],), {}))

    assert calls.held == [inner]
    assert held == [outer]
    assert getattr(context, "passed", None) is None


def test_nothing_is_held_after_an_error(session: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """When pickling fails nothing is held, and later calls are not mixed up with it."""

    def fail(*arguments: Any) -> Any:
        raise SerializationError("cannot be pickled")

    monkeypatch.setattr(packing, "pack", fail)
    response: Any = SimpleNamespace(call_label="f", call_proxies=None)
    with pytest.raises(SerializationError):
        pack_and_hold(m.CALL, ("f", (), {}), session, response)

    assert response.call_proxies is None
    assert getattr(context, "passed", None) is None
