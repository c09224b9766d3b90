"""The transport of Windows: a socket that never blocks.

Neither ``recv`` nor ``select`` is cut short by a signal there, and there is no flag to receive what has come.
So sockets are in non-blocking mode, and waiting is a step of its own, in slices: between two of them signal
handlers run. For the law of interrupts see `easycluster_server._io.interrupts`.
"""

from __future__ import annotations

import _socket
import os
import select
import time
from typing import TYPE_CHECKING, List, Optional, Tuple

from easycluster_protocol._limits import SMALL_MESSAGE_BYTES

from .pipes import has_room_in_pipe

if TYPE_CHECKING:
    from easycluster_protocol._types import Buffer
    from easycluster_server._system.transport_types import Inbox

#: There is no folder in which open files can be opened once more.
AGAIN_FOLDER = ""
AGAIN_FLAGS = os.O_WRONLY

#: The bytes that are printed at once.
PIECE_BYTES = 4096

#: Seconds for which a signal may have to wait until its handler runs.
SLICE = 0.1

#: The most bytes that are copied so that several buffers leave as one: there is no gathered sending.
_MAX_JOINED = 1 << 17

_RECEIVE_SIZE = (SMALL_MESSAGE_BYTES,)

# Taken now: remote code may put something else in their places, in its own process.
_select = select.select
_now = time.monotonic
_sleep = time.sleep


class EndOfStream(EOFError):
    """The peer will send nothing more."""


def wait(read: int, write: int, timeout: Optional[float]) -> Tuple[bool, bool]:
    """Wait until a socket is ready.

    Args:
        read: the socket to read from, or -1.
        write: the socket to write to, or -1.
        timeout: in seconds; None waits for ever.

    Returns:
        Whether a read would not block, and whether a write would not.
    """
    deadline = None if timeout is None else _now() + timeout
    reading = [read] if read >= 0 else []
    writing = [write] if write >= 0 else []
    while True:
        left = SLICE if deadline is None else max(0.0, min(SLICE, deadline - _now()))
        if reading or writing:
            try:
                # A connection that could not be made is told among the exceptions.
                readable, writable, failed = _select(reading, writing, writing, left)
            except OSError as error:
                if getattr(error, "winerror", None) is None:  # a signal handler raised it
                    raise
                return bool(reading), bool(writing)  # it is closed
            if readable or writable or failed:
                return bool(readable), bool(writable or failed)
        else:
            _sleep(left)
        if deadline is not None and _now() >= deadline:
            return False, False


def has_room(descriptor: int, milliseconds: int) -> bool:
    """Wait until something can be printed, for a time at most; return whether it can."""
    deadline = _now() + milliseconds / 1000
    while not has_room_in_pipe(descriptor, PIECE_BYTES):
        if _now() >= deadline:
            return False
        _sleep(0.01)
    return True


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of ``data`` to a socket that has room for it."""
    connection = _socket.socket(fileno=descriptor)
    try:
        while data:
            data = data[connection.send(data) :]
    finally:
        connection.detach()


class SocketTransport:
    """A connected stream socket, in non-blocking mode; see `Transport` for its methods.

    Args:
        connection: the socket; it is closed by `close`.
    """

    def __init__(self, connection: _socket.socket) -> None:
        connection.setblocking(False)
        self.socket = connection
        self._recv = connection.recv
        self._recv_into = connection.recv_into
        self._send = connection.send

    def fileno(self) -> int:
        """Return the descriptor to wait on for reading."""
        return self.socket.fileno()

    write_fileno = fileno

    def receive(self, receiver: Inbox, block: bool) -> bool:
        """Receive once; see `Transport.receive`. It waits for one slice: callers look around after that."""
        if block:
            wait(self.fileno(), -1, SLICE)
        inbox = receiver.inbox
        try:
            if inbox is not None:
                inbox.extend(map(self._recv, _RECEIVE_SIZE))
                ended = not inbox[-1]
            else:
                direct = receiver.direct
                assert direct is not None
                view, counts = direct
                counts.extend(map(self._recv_into, (view,)))
                ended = not counts[-1]
        except BlockingIOError:
            return False
        if ended:
            raise EndOfStream("the peer closed the connection")
        return True

    def send(self, sent: List[int], buffers: List[Buffer], block: bool) -> bool:
        """Send once; see `Transport.send`."""
        data: Buffer = buffers[0]
        if len(buffers) > 1 and len(data) < _MAX_JOINED:
            data = b"".join(buffers)[:_MAX_JOINED] if sum(map(len, buffers)) <= _MAX_JOINED else data
        while True:
            try:
                sent.extend(map(self._send, (data,)))
                return True
            except BlockingIOError:
                if not block:
                    return False
            wait(-1, self.fileno(), SLICE)

    def shutdown(self) -> None:
        """End both directions at once, also for processes that hold copies of the socket."""
        try:
            self.socket.shutdown(_socket.SHUT_RDWR)
        except OSError:
            pass

    def close(self) -> None:
        """Close the socket."""
        try:
            self.socket.close()
        except OSError:  # remote code has closed it
            pass
