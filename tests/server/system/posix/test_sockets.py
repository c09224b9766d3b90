from __future__ import annotations

import math
import socket

import pytest

from easycluster_server._system.posix.sockets import (
    count_unacknowledged,
    detect_loss,
    is_peer_full,
    limit_receive,
    own_port,
)
from helpers.waiting import PATIENCE, wait_until


def test_port_of_an_earlier_server() -> None:
    """A server listens on its port again although a connection there has just ended; no two have it at once."""
    with socket.socket() as first:
        own_port(first)
        first.bind(("127.0.0.1", 0))
        first.listen()
        address = first.getsockname()
        client = socket.create_connection(address)
        server, _ = first.accept()
    server.close()  # this end closes first, and waits
    client.close()
    with socket.socket() as second:
        own_port(second)
        second.bind(address)
        second.listen()


def test_receiving_for_a_while() -> None:
    """A blocking reception without bytes returns after the limit; an endless limit is none."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        limit_receive(ours, 1e-9)
        with pytest.raises(BlockingIOError):
            ours.recv(1)
        limit_receive(ours, math.inf)
        theirs.sendall(b"x")
        assert ours.recv(1) == b"x"


def test_counting_what_is_not_read() -> None:
    """What was sent and not read is counted; what can be counted of a closed socket is not known."""
    ours, theirs = socket.socketpair()
    with theirs:
        assert count_unacknowledged(ours) == 0
        ours.sendall(bytes(1000))
        assert (count_unacknowledged(ours) or 0) >= 1000
        theirs.recv(1000)
        assert count_unacknowledged(ours) == 0
        ours.close()
        assert count_unacknowledged(ours) is None


def test_peer_without_room() -> None:
    """A peer whose program reads nothing is full, and not lost, once its system has no room; so it is until that reads."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        with socket.create_connection(listening.getsockname()) as ours, listening.accept()[0] as theirs:
            assert not is_peer_full(ours)
            ours.setblocking(False)
            try:
                while True:
                    ours.send(bytes(1 << 20))
            except BlockingIOError:
                pass
            wait_until(lambda: is_peer_full(ours))
            theirs.settimeout(PATIENCE)
            while count_unacknowledged(ours):
                theirs.recv(1 << 20)
            assert not is_peer_full(ours)
    unconnected, _ = socket.socketpair()
    with unconnected, _:
        assert not is_peer_full(unconnected)


@pytest.mark.parametrize("is_read", [True, False])
@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (60.0, (30, 10, 60_000)),
        (1.0, (1, 1, 1000)),
        (5.5, (2, 1, 5500)),
        (math.inf, (32767, 14400, 86_400_000)),
    ],
)
def test_detecting_a_loss(seconds: float, expected: tuple[int, int, int], is_read: bool) -> None:
    """The system is told when to look for the other machine; it counts bytes that are not read only if they should be."""
    with socket.socket() as connection:
        detect_loss(connection, seconds, is_read)
        names = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_USER_TIMEOUT)
        found = [connection.getsockopt(socket.IPPROTO_TCP, name) for name in names]
        assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)

    assert found == [*expected[:2], expected[2] if is_read else 0]
