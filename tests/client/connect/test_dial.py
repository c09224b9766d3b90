"""TCP connections that are made within a limit: which address is taken, and what ends the attempt."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from easycluster_client._attempts import Attempt
from easycluster_client._connect.dial import dial
from easycluster_client._deadlines import Deadline
from easycluster_protocol.errors import ConnectError
from helpers.waiting import PATIENCE


@pytest.fixture
def server() -> Iterator[socket.socket]:
    """A socket that listens."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


@pytest.fixture
def full() -> Iterator[int]:
    """A port where connecting lasts for ever: what waits to be accepted there fills the queue."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        address = listening.getsockname()
        waiting = [socket.socket() for _ in range(3)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(address)
        yield address[1]
        for each in waiting:
            each.close()


def lead_to(monkeypatch: pytest.MonkeyPatch, *ports: int) -> None:
    """Give every host these ports of this one, in this order."""
    found = [(socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", port)) for port in ports]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: found)


def test_connection_is_in_blocking_mode(server: socket.socket) -> None:
    """Whatever the limit, the socket waits as sockets do."""
    with dial("127.0.0.1", server.getsockname()[1], Deadline(PATIENCE)) as connection:
        assert connection.getpeername() == server.getsockname()
        assert connection.gettimeout() is None


def test_next_address(server: socket.socket, full: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """An address that refuses or says nothing leaves time for the next one."""
    with socket.socket() as refusing:
        refusing.bind(("127.0.0.1", 0))
        lead_to(monkeypatch, refusing.getsockname()[1], full, server.getsockname()[1])
        with dial("h", 1, Deadline(1.0)) as connection:
            assert connection.getpeername() == server.getsockname()


def test_last_error(full: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error is that of the last address; a host may have none at all."""
    with socket.socket() as refusing:
        refusing.bind(("127.0.0.1", 0))
        lead_to(monkeypatch, full, refusing.getsockname()[1])
        with pytest.raises(ConnectionRefusedError):
            dial("h", 1, Deadline(0.1))
    lead_to(monkeypatch)
    with pytest.raises(OSError, match="there is no address of h"):
        dial("h", 1, Deadline(0.1))


def test_limit(full: int) -> None:
    """The limit ends an attempt to which nobody answers."""
    with pytest.raises(ConnectError, match="no answer within 0.05 seconds"):
        dial("127.0.0.1", full, Deadline(0.05))


def test_attempt_that_is_given_up(full: int) -> None:
    """Another thread may give the attempt up long before its limit."""
    attempt, errors = Attempt(), list[Any]()

    def connect() -> None:
        with attempt:
            try:
                dial("127.0.0.1", full, Deadline(2 * PATIENCE))
            except ConnectError as error:
                errors.append(str(error))

    thread = threading.Thread(target=connect)
    thread.start()
    attempt.give_up("not needed any more")
    thread.join(PATIENCE)

    assert errors == ["not needed any more"]
