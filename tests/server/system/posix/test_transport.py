from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from easycluster_server._io.transport import is_connection_error
from easycluster_server._system.posix import transport as transport_module
from easycluster_server._system.posix.transport import EndOfStream, PipeTransport, SocketTransport, wait


class Notes:
    """Stands where a receiver and a sender are."""

    def __init__(self, place: memoryview | None = None) -> None:
        self.inbox: Any = [] if place is None else None
        self.sent: list[int] = []
        self.counts: list[int] = []
        self.direct = None if place is None else (place, self.counts)


class Pair(NamedTuple):
    """Two transports that are connected."""

    here: Any
    there: Any


@pytest.fixture(params=["socket", "pipes"])
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    """Two connected transports of each kind."""
    if request.param == "socket":
        pair = Pair(*map(SocketTransport, socket.socketpair()))
    else:
        (read, their_write), (their_read, write) = os.pipe(), os.pipe()
        pair = Pair(PipeTransport(read, write), PipeTransport(their_read, their_write))
    yield pair
    for transport in pair:
        transport.close()


def fill(transport: Any) -> int:
    """Send until the kernel takes nothing more; return how much it took."""
    notes = Notes()
    while transport.send(notes.sent, [bytes(100_000)], False):
        pass
    return sum(notes.sent)


def test_bytes_arrive(pair: Pair) -> None:
    """What is sent at one end, in several buffers, arrives at the other, and both note how much it was."""
    sent, received = Notes(), Notes()
    assert pair.here.send(sent.sent, [b"one", memoryview(b" two"), b"", b" three"], True)
    assert pair.there.receive(received, True)

    assert (sent.sent, received.inbox) == ([13], [b"one two three"])


def test_bytes_arrive_where_they_belong(pair: Pair) -> None:
    """A receiver that knows the place gets the bytes there, and no more than fit."""
    place = bytearray(8)
    received = Notes(memoryview(place)[2:6])
    pair.here.send([], [b"abcdefgh"], True)
    assert pair.there.receive(received, True)

    assert (bytes(place), received.counts) == (b"\0\0abcd\0\0", [4])


def test_nothing_there(pair: Pair) -> None:
    """Without waiting, a reception of nothing says so."""
    notes = Notes()

    assert not pair.here.receive(notes, False)
    assert notes.inbox == []


def test_no_room(pair: Pair) -> None:
    """Without waiting, a send that the kernel has no room for says so; what fits is sent in part."""
    total = fill(pair.here)
    received = Notes()
    while pair.there.receive(received, False):
        pass

    assert sum(map(len, received.inbox)) == total
    assert pair.here.send([], [b"x"], False)


def test_many_buffers(pair: Pair) -> None:
    """More buffers than the system gathers at once are sent in several steps."""
    notes = Notes()
    buffers = [b"x"] * (transport_module._MAX_BUFFERS + 5)
    pair.here.send(notes.sent, buffers, True)

    assert notes.sent == [transport_module._MAX_BUFFERS]


def test_end_of_stream(pair: Pair) -> None:
    """What was sent before the end is received, and then the end is an error of its own."""
    pair.here.send([], [b"last"], True)
    pair.here.close()
    received = Notes()
    assert pair.there.receive(received, True)
    for block in (True, False):
        with pytest.raises(EndOfStream):
            pair.there.receive(Notes(), block)

    assert b"".join(received.inbox) == b"last"


def test_end_of_stream_at_its_place(pair: Pair) -> None:
    """The end is noticed as well where the place of the bytes is known."""
    pair.here.close()
    with pytest.raises(EndOfStream):
        pair.there.receive(Notes(memoryview(bytearray(5))), True)


def test_send_to_nobody(pair: Pair) -> None:
    """Sending to a peer that has gone raises an error that says that the connection broke."""
    pair.there.close()
    with pytest.raises(OSError, match="Broken pipe") as caught:
        pair.here.send([], [b"x"], True)

    assert is_connection_error(caught.value)


def test_close_twice(pair: Pair) -> None:
    """Closing again does nothing."""
    pair.here.close()
    pair.here.close()

    assert pair.here.fileno() == pair.here.write_fileno() == -1


def test_shutdown_reaches_copies() -> None:
    """A socket that is shut down ends for all processes that hold it, and keeps what had arrived."""
    ours, theirs = socket.socketpair()
    copy: Any = SocketTransport(theirs.dup())
    transport = SocketTransport(theirs)
    ours.send(b"before")
    transport.shutdown()
    transport.shutdown()
    received = Notes()
    copy.receive(received, True)
    with pytest.raises(EndOfStream):
        copy.receive(received, True)
    assert ours.recv(1) == b""
    for each in (ours, transport, copy):
        each.close()

    assert b"".join(received.inbox) == b"before"


# Waiting.


def test_wait(pair: Pair) -> None:
    """Waiting tells what is possible: nothing, sending, receiving."""
    here, there = pair
    empty = wait(here.fileno(), here.write_fileno(), 0)
    there.send([], [b"x"], True)
    full = wait(here.fileno(), here.write_fileno(), None)
    fill(here)
    stuck = wait(here.fileno(), here.write_fileno(), None)

    assert (empty, full, stuck) == ((False, True), (True, True), (True, False))
    assert wait(-1, here.write_fileno(), 0.001) == (False, False)
    assert wait(-1, -1, 0) == (False, False)


def test_wait_for_the_end(pair: Pair) -> None:
    """The end of the stream counts as something to read."""
    pair.there.close()

    assert wait(pair.here.fileno(), -1, None)[0]
