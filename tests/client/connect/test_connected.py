"""Open connections: their end, in order or by being dropped, and errors of those that could not be opened."""

from __future__ import annotations

import gc
import socket
import weakref
from collections.abc import Callable, Iterator

import pytest

from easycluster_client._connect.connected import OpenConnection, explain_failure
from easycluster_client._process import exit as exit_module
from easycluster_protocol.errors import AuthenticationError, ConnectError, VersionError
from easycluster_server._io.transport import SocketTransport
from helpers.pair import LinkPair


class NotedTransport(SocketTransport):
    """A transport that notes when it is closed.

    Args:
        connection: see `SocketTransport`.
        steps: where it notes that.
    """

    def __init__(self, connection: socket.socket, steps: list[str]) -> None:
        super().__init__(connection)
        self._steps = steps

    def close(self) -> None:
        self._steps.append("transport closed")
        super().close()


@pytest.fixture
def steps() -> list[str]:
    """The steps of ending."""
    return []


@pytest.fixture
def transport(steps: list[str]) -> Iterator[NotedTransport]:
    """One that notes its end among the steps."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield NotedTransport(ours, steps)


Open = Callable[[], OpenConnection]


@pytest.fixture
def opened(transport: NotedTransport, steps: list[str]) -> Open:
    """Makes the one connection of a test."""
    link = LinkPair().client
    return lambda: OpenConnection(link, transport, "h:1", lambda since: steps.append("ssh ended"))


def test_parts(transport: NotedTransport) -> None:
    """A connection shows its parts, and is none to a bare host unless that is said."""
    link = LinkPair().client
    plain, bare = OpenConnection(link, transport, "h:1"), OpenConnection(link, transport, "h:1", is_bare=True)

    assert (plain.link, plain.transport, plain.peername) == (link, transport, "h:1")
    assert (plain.is_bare, bare.is_bare) == (False, True)
    plain.finish()
    bare.finish()


def test_finish(opened: Open, steps: list[str]) -> None:
    """The transport is closed first, then ssh is ended, and a second time does nothing."""
    connection = opened()
    before = list(steps)
    connection.finish()
    connection.finish()

    assert before == []
    assert steps == ["transport closed", "ssh ended"]


def test_finish_without_ssh(transport: NotedTransport, steps: list[str]) -> None:
    """A connection without an ssh ends with its transport."""
    OpenConnection(LinkPair().client, transport, "h:1").finish()

    assert steps == ["transport closed"]
    assert transport.fileno() == -1


def test_dropped_connection(opened: Open, steps: list[str]) -> None:
    """A connection that nobody has any more ends as if it had been finished."""
    connection = opened()
    del connection
    gc.collect()

    assert steps == ["transport closed", "ssh ended"]


def test_dropped_after_its_end(opened: Open, steps: list[str]) -> None:
    """What was finished already is not ended once more when it is dropped."""
    connection = opened()
    connection.finish()
    steps.clear()
    del connection
    gc.collect()

    assert steps == []


def test_end_of_the_interpreter(opened: Open, steps: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """An open connection is noted to be finished at the very end, not by the exit function of `weakref`."""
    connections: weakref.WeakSet[exit_module.Finishable] = weakref.WeakSet()
    monkeypatch.setattr(exit_module, "_connections", connections)
    connection = opened()

    assert list(connections) == [connection]
    assert connection._finalize.atexit is False
    connection.finish()


def test_finish_at_the_end_of_the_interpreter(
    opened: Open, steps: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection is finished even when finalisers do nothing any more."""
    connection = opened()
    monkeypatch.setattr(weakref.finalize, "_shutdown", True)
    connection.finish()

    assert steps == ["transport closed", "ssh ended"]


# Errors.


@pytest.mark.parametrize("error", [ConnectError("why"), OSError("why"), TimeoutError("why")])
def test_failure(error: OSError) -> None:
    """A failure is an error of connecting that names the server and the reason."""
    found = explain_failure(error, "h:1")

    assert type(found) is ConnectError
    assert str(found) == "cannot connect to h:1: why"


def test_failure_of_a_special_kind() -> None:
    """An error that says more than that keeps its class."""
    found = explain_failure(VersionError("why"), "h:1")

    assert type(found) is VersionError
    assert str(found) == "cannot connect to h:1: why"


@pytest.mark.parametrize(
    ("key", "hint"),
    [(b"k" * 32, "; the key that was given is a text: decode_key() makes a key from it"), (bytes(32), "")],
)
def test_text_as_a_key(key: bytes, hint: str) -> None:
    """Where the key is the reason and looks like a text the error says how to make a key from it."""
    text = str(explain_failure(AuthenticationError("why"), "h:1", key))

    assert text.endswith("or with -k or -K)" + hint)


def test_failure_of_the_key() -> None:
    """Where the key is the reason the error says how to give another."""
    found = explain_failure(AuthenticationError("why"), "h:1")

    assert type(found) is AuthenticationError
    assert str(found) == (
        "cannot connect to h:1: why "
        "(give the server's key with kf=FILE or key=KEY in the spec, or with -k or -K)"
    )
