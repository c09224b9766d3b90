"""What a proxy knows of its object and connection, and the calls that it makes there."""

from __future__ import annotations

import gc
import weakref
from types import SimpleNamespace
from typing import Any

import pytest

from easycluster_client._calls.keywords import parse_options
from easycluster_client._calls.proxy_state import ProxyState
from easycluster_client._session.references import References
from easycluster_protocol._objects.proxies import RemoteProxy
from easycluster_protocol._wire import messages as m
from easycluster_protocol.errors import ConnectionLost, RemoteException


class FakeCalls:
    """A maker of calls that notes what it is asked for.

    Attributes:
        made: what it was asked for.
        answer: what it returns, or raises.
        reported: the exceptions that were to be printed.
    """

    def __init__(self) -> None:
        self.made: list[tuple[Any, ...]] = []
        self.answer: Any = "answer"
        self.reported: list[RemoteException] = []
        self.client = SimpleNamespace(report_exception=self.reported.append)
        self.session: Any = SimpleNamespace(peername="host:1", error=None, has_reported_end=False)

    def _make(self, *what: Any) -> Any:
        self.made.append(what)
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer

    def request(self, *arguments: Any) -> Any:
        """Make a call whose keywords may contain options."""
        return self._make("request", *arguments)

    def invoke(self, *arguments: Any) -> Any:
        """Call a method of a server object."""
        return self._make("invoke", *arguments)

    def operation(self, *arguments: Any) -> Any:
        """Call an operation of the root object."""
        return self._make("operation", *arguments)


@pytest.fixture
def calls() -> Any:
    """The maker of the client's calls."""
    return FakeCalls()


@pytest.fixture
def state(calls: Any) -> ProxyState:
    """The state of a proxy of object 7."""
    references = References(calls.session)
    references.maker = calls
    return ProxyState(calls, references, 7)


def end(calls: Any, how: str) -> None:
    """End the connection, or let the client have another one."""
    if how == "ended":
        calls.session.error = ConnectionLost("ended")
    else:
        calls.session = SimpleNamespace(peername="host:2", error=None)


@pytest.mark.parametrize(
    ("known", "error", "made", "raised"),
    [
        (True, (), 0, False),
        (False, (ValueError, ValueError(), None), 1, False),
        (False, (None, None, None), 1, True),
        (False, (), 1, True),
    ],
)
def test_leaving_a_block_after_the_end(
    state: ProxyState, calls: Any, known: bool, error: Any, made: int, raised: bool
) -> None:
    """No call is made if the script knows of the end; a lost call is an error if nothing else has been raised."""
    end(calls, "ended")
    calls.session.has_reported_end = known
    calls.answer = ConnectionLost("ended")

    def leave() -> Any:
        return state.invoke("__exit__", (), {}, {})

    if raised:
        with pytest.raises(ConnectionLost):
            state.leave(leave, error)
    else:
        assert state.leave(leave, error) is False
    assert len(calls.made) == made


def test_loss_of_another_connection(state: ProxyState, calls: Any) -> None:
    """Code on the host that has lost a connection of its own raises that from its ``__exit__``."""
    calls.answer = ConnectionLost("another")

    with pytest.raises(ConnectionLost, match="another"):
        state.leave(lambda: state.invoke("__exit__", (), {}, {}), (ValueError, ValueError(), None))


# What it knows.


def test_what_a_proxy_knows(state: ProxyState, calls: Any) -> None:
    """A proxy knows its client, the name of its server, its connection and its number."""
    assert (state.client, state.peername, state.session, state.oid) == (
        calls.client,
        "host:1",
        calls.session,
        7,
    )
    assert state.parse_options is parse_options
    assert state.current_calls() is calls


@pytest.mark.parametrize("how", ["ended", "replaced"])
def test_client_after_the_end(state: ProxyState, calls: Any, how: str) -> None:
    """A proxy has no client any more when its connection has ended, or the client has another one."""
    end(calls, how)

    assert state.client is None
    assert state.peername == "host:1"


def test_calls_after_the_end(state: ProxyState, calls: Any) -> None:
    """A proxy makes no calls on another connection than its own; on one that has ended the call itself says so."""
    end(calls, "ended")
    state.call("f", (), {})
    end(calls, "replaced")
    proxy: Any = object()
    for act in (
        state.current_calls,
        lambda: state.call("f", (), {}),
        lambda: state.call("f", (), {"key": 1}),
        lambda: state.invoke("f", (), {}, {}),
        lambda: state.operation("f", ()),
        lambda: state.get_attribute(proxy, "x"),
    ):
        with pytest.raises(
            ConnectionLost, match="the connection to host:1 on which this object was given has ended"
        ):
            act()

    assert len(calls.made) == 1


def test_cache(state: ProxyState) -> None:
    """Each proxy has a cache of its own, which is empty at first and stays."""
    state.cache["x"] = 1

    assert state.cache == {"x": 1}
    assert ProxyState(state.current_calls(), state.references, 8).cache == {}


# Calls.


def test_methods(state: ProxyState, calls: Any) -> None:
    """A method is called on the proxy's own connection; with keywords, which may be options, by way of these."""
    values = [
        state.call("f", (1,), {}),
        state.call("f", (1,), {"nonblocking": True}),
        state.invoke("f", (1,), {"key": 2}, {"timeout": 3}),
    ]

    assert values == ["answer"] * 3
    assert calls.made == [
        ("invoke", 7, "f", (1,), {}, {}, calls.session),
        ("request", m.INVOKE, (7, "f", (1,)), {"nonblocking": True}, "f", calls.session),
        ("invoke", 7, "f", (1,), {"key": 2}, {"timeout": 3}, calls.session),
    ]


def test_operations(state: ProxyState, calls: Any) -> None:
    """An operation of the root object is called on the proxy's own connection, with options or without."""
    values = [state.operation("get", (1,)), state.operation("get", (1,), {"timeout": 3})]

    assert values == ["answer"] * 2
    assert calls.made == [
        ("operation", "get", (1,), None, calls.session),
        ("operation", "get", (1,), {"timeout": 3}, calls.session),
    ]


# Attributes.

PROXY: Any = RemoteProxy.__new__(RemoteProxy)


def test_attribute(state: ProxyState, calls: Any) -> None:
    """An attribute is asked for by the proxy and its name, and errors are not printed on the way."""
    values = [
        state.get_attribute(PROXY, "x"),
        state.get_attribute(PROXY, "x", {"timeout": 3, "origexc": "quiet"}),
    ]

    assert values == ["answer"] * 2
    assert [options for *_, options, _ in calls.made] == [
        {"origexc": False},
        {"timeout": 3, "origexc": False},
    ]
    assert [what[:2] for what in calls.made] == [("operation", "get_attribute")] * 2
    assert all(what[2][0] is PROXY and what[2][1] == "x" for what in calls.made)


def remote(orig: BaseException) -> RemoteException:
    """An exception of remote code."""
    return RemoteException(orig, ["Traceback\n"])


@pytest.mark.parametrize(
    "options", [{}, {"origexc": True}, {"origexc": None}, {"origexc": "quiet"}], ids=repr
)
def test_missing_attribute(state: ProxyState, calls: Any, options: dict[str, Any]) -> None:
    """That there is no such attribute is raised as what it was, and not printed: `hasattr` is quiet."""
    error = AttributeError("no x")
    calls.answer = remote(error)
    with pytest.raises(AttributeError) as caught:
        state.get_attribute(PROXY, "x", options)

    assert caught.value is error
    assert calls.reported == []


@pytest.mark.parametrize(
    ("options", "printed"),
    [({}, 1), ({"origexc": True}, 1), ({"origexc": None}, 1), ({"origexc": "quiet"}, 0)],
    ids=repr,
)
def test_attribute_that_fails(state: ProxyState, calls: Any, options: dict[str, Any], printed: int) -> None:
    """Any other error of an attribute is raised as what it was, and printed unless it is to be quiet."""
    error = ValueError("no")
    calls.answer = remote(error)
    with pytest.raises(ValueError, match="^no$") as caught:
        state.get_attribute(PROXY, "x", options)

    assert caught.value is error
    assert calls.reported == [calls.answer] * printed


@pytest.mark.parametrize("mode", [False, 0, ""], ids=repr)
@pytest.mark.parametrize("orig", [AttributeError("no x"), ValueError("no")], ids=repr)
def test_attribute_that_fails_wrapped(state: ProxyState, calls: Any, mode: Any, orig: Exception) -> None:
    """With a false ``origexc`` the error is a RemoteException, and not printed."""
    calls.answer = remote(orig)
    with pytest.raises(RemoteException) as caught:
        state.get_attribute(PROXY, "x", {"origexc": mode})

    assert caught.value is calls.answer
    assert calls.reported == []


def test_other_errors_of_an_attribute(state: ProxyState, calls: Any) -> None:
    """Errors that are not the remote code's go through."""
    calls.answer = ConnectionLost("ended")
    with pytest.raises(ConnectionLost):
        state.get_attribute(PROXY, "x")

    assert calls.reported == []


def test_items(state: ProxyState, calls: Any) -> None:
    """The IndexError that ends an iteration is not printed, other errors are; options go along."""
    assert state.get_item(1, {"timeout": 5}) == "answer"
    made = calls.made[-1]
    assert made[1:6] == (7, "__getitem__", (1,), {}, {"timeout": 5, "origexc": False})

    for error, printed in (IndexError("end"), 0), (ValueError("no"), 1):
        calls.answer = remote(error)
        with pytest.raises(type(error)):
            state.get_item(2, {})
        assert calls.reported == [calls.answer] * printed


def test_missing_attribute_keeps_nothing_alive(state: ProxyState, calls: Any) -> None:
    """The error of a missing attribute keeps no proxy alive: it goes without a collection."""

    class Proxy(RemoteProxy):
        pass

    calls.answer = remote(AttributeError("no x"))
    proxy = Proxy.__new__(Proxy)
    reference = weakref.ref(proxy)
    gc.collect()
    gc.disable()
    try:
        try:
            state.get_attribute(proxy, "x")
        except AttributeError as error:
            assert error.__context__ is None
        calls.made.clear()
        calls.answer = None
        del proxy
        gone = reference() is None
    finally:
        gc.enable()

    assert gone


# Pickling.


def test_pickling_for_the_own_connection(state: ProxyState) -> None:
    """A proxy may be pickled for a call on its own connection."""
    state.check_pickling(state.references)


def test_pickling_for_nothing(state: ProxyState) -> None:
    """A proxy cannot be pickled outside of a call; the error says where its object is."""
    with pytest.raises(TypeError) as caught:
        state.check_pickling(None)

    assert str(caught.value) == (
        "<RemoteProxy (object 7) on host:1> cannot be pickled: the object stays on host:1; pass it to calls of its own "
        "connection"
    )


def test_pickling_for_another_connection(state: ProxyState) -> None:
    """A proxy cannot be passed to another server; the error says where it was to go."""
    with pytest.raises(TypeError) as caught:
        state.check_pickling(References(SimpleNamespace(peername="host:2", error=None)))

    assert str(caught.value) == (
        "<RemoteProxy for oid 7 on host:1> cannot be passed to host:2: the object is on host:1, and only calls there "
        "can use it"
    )


@pytest.mark.parametrize("how", ["ended", "replaced"])
def test_pickling_after_the_end(state: ProxyState, calls: Any, how: str) -> None:
    """When the connection has ended the error says that, wherever the proxy was to go."""
    end(calls, how)
    with pytest.raises(TypeError) as caught:
        state.check_pickling(None)

    assert str(caught.value) == (
        "<RemoteProxy (object 7) on host:1> cannot be pickled: the connection to host:1 on which it was given has ended"
    )
