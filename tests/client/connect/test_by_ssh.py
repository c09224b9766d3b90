"""Connecting over SSH: the steps, their end when one fails, and the transport of the socket to ssh."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from easycluster_client._address import Address
from easycluster_client._connect import by_ssh
from easycluster_client._connect.by_ssh import connect_by_ssh
from easycluster_client._connect.connected import OpenConnection
from easycluster_client._deadlines import Deadline
from easycluster_protocol._handshake.hello import HELLO, Hello
from easycluster_protocol._handshake.server import ServerHandshake
from easycluster_protocol._wire import messages as m
from easycluster_protocol._wire.link import CLIENT, CLOSED, SERVER, Link
from easycluster_protocol._wire.messages import Message
from easycluster_protocol.errors import ConnectError
from easycluster_server._io.transport import EndOfStream
from helpers.fake_ssh import address as address_with
from helpers.handshakes import packet
from helpers.pair import receive
from helpers.waiting import PATIENCE

ADDRESS = address_with("/fake/ssh", timeout=7.0)


class FakeProcess:
    """Stands for `SshProcess`; the host is there as soon as the server was sent to it.

    Args:
        address: the address that it gets.

    Attributes:
        address: that address.
        connection: the client's end of the socket.
        host: the host's end.
        server: the handshake of the host, once it was sent there.
        steps: the steps that were taken.
        failing: the step that fails, or none.
        error: the error with which it does.
        deadlines: the deadlines that the steps were given.
    """

    def __init__(self, address: Address) -> None:
        self.address = address
        self.connection, self.host = socket.socketpair()
        self.host.settimeout(PATIENCE)
        self.server = ServerHandshake(None)
        self.steps: list[str] = []
        self.failing = ""
        self.error: BaseException = OSError("why")
        self.deadlines: list[Deadline] = []

    def start(self) -> None:
        self._note("start")

    def is_prompting(self) -> bool:
        return False

    def send_server(self, client: Hello, deadline: Deadline) -> None:
        self._note("send_server", deadline)
        self.server.receive_data(packet(HELLO, client))

    def wait_for_server(self, deadline: Deadline) -> None:
        self._note("wait_for_server", deadline)
        if self.failing == "handshake":
            self.host.shutdown(socket.SHUT_WR)
        else:
            self.host.sendall(self.server.data_to_send())

    def explain(self, error: BaseException) -> ConnectError:
        assert self.connection.fileno() >= 0
        self._note("explain")
        return ConnectError(f"explained: {error}")

    def finish(self, since: float | None = None) -> None:
        self._note("finish")
        self.connection.close()

    def kill(self) -> None:
        assert self.connection.fileno() >= 0
        self._note("kill")

    def _note(self, step: str, *deadlines: Deadline) -> None:
        self.steps.append(step)
        self.deadlines += deadlines
        if step == self.failing:
            raise self.error


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeProcess]:
    """The process that takes the place of ssh in the next connection."""
    process = FakeProcess(address_with(True))

    def start(address: Address) -> FakeProcess:
        process.address = address
        return process

    monkeypatch.setattr(by_ssh, "SshProcess", start)
    yield process
    process.connection.close()
    process.host.close()


def host_link(process: FakeProcess) -> Link:
    """The host's end of the link."""
    assert process.server.agreement is not None
    return Link(SERVER, process.server.agreement)


def close_in_order(connection: OpenConnection) -> None:
    """Say the last message of the client; nothing needs to be sent for that."""
    connection.link.data_to_send(Message(m.CLOSE))
    assert connection.link.sending == CLOSED


# Connecting.


def test_connection(process: FakeProcess) -> None:
    """The server is sent and waited for, in this order, and the connection is one to a bare host."""
    connection = connect_by_ssh(ADDRESS)
    sent = connection.link.data_to_send(Message(m.PING, 5))

    assert process.steps == ["start", "send_server", "wait_for_server"]
    assert process.address is ADDRESS
    assert receive(host_link(process), sent) == [Message(m.PING, 5)]
    assert connection.link.role == CLIENT
    assert (connection.peername, connection.is_bare) == ("h:22", True)
    assert not connection.link.agreement.compress
    connection.finish()


def test_hello_is_sent_once(process: FakeProcess) -> None:
    """The client's description goes with the code of the server, and not over the connection again."""
    connection = connect_by_ssh(ADDRESS)
    close_in_order(connection)
    connection.transport.socket.shutdown(socket.SHUT_WR)

    assert process.host.recv(1000) == b""
    connection.finish()


def test_compression(process: FakeProcess) -> None:
    """The wish of the address for compression reaches the host."""
    connection = connect_by_ssh(ADDRESS._replace(compress=True))

    assert connection.link.agreement.compress
    connection.finish()


def test_one_deadline(process: FakeProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """All steps share the limit of the address, which does not count while ssh asks the user."""
    made: list[tuple[Any, ...]] = []
    waited: list[tuple[int, int]] = []

    class NotedDeadline(Deadline):
        def __init__(self, seconds: float, is_prompting: Callable[[], bool]) -> None:
            super().__init__(seconds, is_prompting)
            made.append((seconds, is_prompting))

        def wait(self, read: int, write: int = -1) -> None:
            waited.append((read, write))
            super().wait(read, write)

    monkeypatch.setattr(by_ssh, "Deadline", NotedDeadline)
    connection = connect_by_ssh(ADDRESS)

    assert made == [(7.0, process.is_prompting)]
    assert len(process.deadlines) == 2
    assert process.deadlines[0] is process.deadlines[1]
    assert waited == [(process.connection.fileno(), -1)]
    connection.finish()


def test_finish(process: FakeProcess) -> None:
    """The end of the connection is the end of ssh."""
    connection = connect_by_ssh(ADDRESS)
    before = list(process.steps)
    connection.finish()
    connection.finish()

    assert process.steps == [*before, "finish"]


@pytest.mark.parametrize("step", ["start", "send_server", "wait_for_server"])
@pytest.mark.parametrize("error", [OSError("why"), ConnectError("why")])
def test_step_that_fails(process: FakeProcess, step: str, error: OSError) -> None:
    """No step follows one that fails: ssh explains that while the socket is open, and is ended."""
    process.failing, process.error = step, error
    with pytest.raises(ConnectError, match="^explained: why$") as caught:
        connect_by_ssh(ADDRESS)

    assert caught.value.__cause__ is error
    assert process.steps[-3:] == [step, "explain", "kill"]
    assert process.connection.fileno() == -1


def test_host_that_leaves(process: FakeProcess) -> None:
    """A host that leaves in the handshake is explained by ssh, too."""
    process.failing = "handshake"
    with pytest.raises(
        ConnectError, match="^explained: the peer closed the connection during the handshake$"
    ):
        connect_by_ssh(ADDRESS)

    assert process.steps[-2:] == ["explain", "kill"]
    assert process.connection.fileno() == -1


@pytest.mark.parametrize("step", ["start", "send_server", "wait_for_server"])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("why")])
def test_interrupted_step(process: FakeProcess, step: str, error: BaseException) -> None:
    """An interrupt comes through unchanged and is not explained, and ssh is ended."""
    process.failing, process.error = step, error
    with pytest.raises(type(error)) as caught:
        connect_by_ssh(ADDRESS)

    assert caught.value is error
    assert process.steps[-2:] == [step, "kill"]
    assert process.connection.fileno() == -1


def test_interrupted_explanation(process: FakeProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """An interrupt while ssh is asked why it failed does not keep ssh from being ended."""

    def explain(error: BaseException) -> ConnectError:
        raise KeyboardInterrupt

    monkeypatch.setattr(process, "explain", explain)
    process.failing = "start"
    with pytest.raises(KeyboardInterrupt):
        connect_by_ssh(ADDRESS)

    assert process.steps == ["start", "kill"]
    assert process.connection.fileno() == -1


# The transport.


class ShuttingInbox:
    """Takes what comes, and shuts the transport down when it is asked where to: in the middle of a reception.

    Args:
        connection: the connection that is shut down.
    """

    direct = None

    def __init__(self, connection: OpenConnection) -> None:
        self._connection = connection
        self._bytes: list[bytes] = []

    @property
    def inbox(self) -> list[bytes]:
        self._connection.transport.shutdown()
        return self._bytes


class Inbox:
    """Takes what comes."""

    direct = None

    def __init__(self) -> None:
        self.inbox: list[bytes] = []


@pytest.fixture
def connection(process: FakeProcess) -> Iterator[OpenConnection]:
    """A connection over the process."""
    connection = connect_by_ssh(ADDRESS)
    yield connection
    connection.finish()


def is_open(connection: OpenConnection, process: FakeProcess) -> bool:
    """Whether bytes pass in both directions."""
    inbox = Inbox()
    connection.transport.socket.sendall(b"there")
    process.host.sendall(b"back")
    connection.transport.receive(inbox, True)
    return (process.host.recv(100), inbox.inbox) == (b"there", [b"back"])


def test_shutdown(connection: OpenConnection, process: FakeProcess) -> None:
    """A shutdown ends both directions as long as the connection has not ended in order."""
    connection.transport.shutdown()

    assert process.host.recv(100) == b""
    with pytest.raises(EndOfStream):
        connection.transport.receive(Inbox(), True)


def test_shutdown_after_an_orderly_end(connection: OpenConnection, process: FakeProcess) -> None:
    """After an orderly end both directions stay open: the login may still print something."""
    close_in_order(connection)
    connection.transport.shutdown()

    assert is_open(connection, process)


def test_shutdown_wakes_a_thread(connection: OpenConnection) -> None:
    """A thread that waits for bytes is woken after an orderly end, too."""
    close_in_order(connection)
    with pytest.raises(EndOfStream):
        connection.transport.receive(ShuttingInbox(connection), True)


def test_shutdown_while_a_thread_looks(connection: OpenConnection, process: FakeProcess) -> None:
    """A thread that only looks whether bytes are there needs no waking."""
    close_in_order(connection)

    assert not connection.transport.receive(ShuttingInbox(connection), False)
    assert is_open(connection, process)


def test_shutdown_after_a_thread_has_waited(connection: OpenConnection, process: FakeProcess) -> None:
    """A thread that has got its bytes, or an error, does not count as waiting any more."""
    close_in_order(connection)
    process.host.sendall(b"bytes")
    came = connection.transport.receive(Inbox(), True)
    connection.transport.shutdown()

    assert came
    assert is_open(connection, process)
    broken: Any = object()  # no receiver
    with pytest.raises(AttributeError):
        connection.transport.receive(broken, True)
    connection.transport.shutdown()
    assert is_open(connection, process)


def test_close(connection: OpenConnection) -> None:
    """The descriptor is closed as long as the connection has not ended in order."""
    connection.transport.close()

    assert connection.transport.fileno() == -1


def test_close_after_an_orderly_end(connection: OpenConnection, process: FakeProcess) -> None:
    """After an orderly end only the end of ssh closes the descriptor."""
    close_in_order(connection)
    connection.transport.close()

    assert is_open(connection, process)
    connection.finish()
    assert connection.transport.fileno() == -1
