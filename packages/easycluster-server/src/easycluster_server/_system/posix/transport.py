"""Transports of POSIX systems: the bytes of a socket or of a pair of pipes.

Each step is one C call that both moves bytes and notes how many (``notes.extend(map(step, ...))``), so
that no signal handler that raises can come between the two and put the stream out of step; see
`easycluster_server._io.interrupts` for the law.
"""

from __future__ import annotations

import _socket  # a transport needs no more of `socket`, which takes 5 ms to import
import os
import select
from typing import TYPE_CHECKING, Any, Dict, List, Tuple

from easycluster_protocol._limits import SMALL_MESSAGE_BYTES

if TYPE_CHECKING:
    from easycluster_protocol._types import Buffer
    from easycluster_server._system.transport_types import Inbox

#: The folder in which open files can be opened once more by their numbers, and how that is done; see
#: `easycluster_server._system.output`.
AGAIN_FOLDER = "/proc/self/fd/"
AGAIN_FLAGS = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY

#: The bytes that a pipe takes at once if it has room.
PIECE_BYTES = select.PIPE_BUF

#: Buffers that one gathered write takes; the smallest IOV_MAX that systems have is 1024.
_MAX_BUFFERS = 512

# Taken now: remote code may put something else in their places, in its own process.
_make_poll = select.poll
_close = os.close
_read = os.read
_readv: Any = getattr(os, "readv", None)
_writev: Any = getattr(os, "writev", None)

# Arguments of one step, as `map` takes them.
_RECEIVE_SIZE = (SMALL_MESSAGE_BYTES,)
_BLOCKING = (0,)
_NOT_BLOCKING = (getattr(_socket, "MSG_DONTWAIT", 0),)


class EndOfStream(EOFError):
    """The peer will send nothing more."""


def wait(read: int, write: int, timeout: float | None) -> Tuple[bool, bool]:
    """Wait until a descriptor is ready.

    Args:
        read: the descriptor to read from, or -1.
        write: the descriptor to write to, or -1.
        timeout: in seconds; None waits for ever.

    Returns:
        Whether a read would not block, and whether a write would not.
    """
    poll = _make_poll()
    events: Dict[int, int] = {}
    if read >= 0:
        events[read] = select.POLLIN
    if write >= 0:
        events[write] = events.get(write, 0) | select.POLLOUT
    for descriptor, event in events.items():
        poll.register(descriptor, event)
    ready = dict(poll.poll(None if timeout is None else max(0, timeout * 1000)))
    readable = bool(ready.get(read, 0) & ~select.POLLOUT)
    writable = bool(ready.get(write, 0) & ~select.POLLIN)
    return readable, writable


def has_room(descriptor: int, milliseconds: int) -> bool:
    """Wait until something can be written, for a time at most; return whether it can."""
    poll = _make_poll()
    poll.register(descriptor, select.POLLOUT)
    # An error is an event, too. Writing then could be the end of this process, by SIGPIPE.
    return poll.poll(milliseconds) == [(descriptor, select.POLLOUT)]


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of ``data`` to a connection; the kernel has room for it."""
    while data:
        data = data[os.write(descriptor, data) :]


class SocketTransport:
    """A connected stream socket, in blocking mode; see `Transport` for its methods.

    Args:
        connection: the socket; it is closed by `close`.
    """

    def __init__(self, connection: _socket.socket) -> None:
        connection.setblocking(True)
        self.socket = connection
        self._recv = connection.recv
        self._recv_into = connection.recv_into
        self._send = connection.send
        self._sendmsg = getattr(connection, "sendmsg", None)

    def fileno(self) -> int:
        """Return the descriptor to wait on for reading."""
        return self.socket.fileno()

    write_fileno = fileno

    def receive(self, receiver: Inbox, block: bool) -> bool:
        """Receive once; see `Transport.receive`."""
        flags = _BLOCKING if block else _NOT_BLOCKING
        inbox = receiver.inbox
        try:
            if inbox is not None:
                inbox.extend(map(self._recv, _RECEIVE_SIZE, flags))
                ended = not inbox[-1]
            else:
                direct = receiver.direct
                assert direct is not None
                view, counts = direct
                counts.extend(map(self._recv_into, (view,), (0,), flags))
                ended = not counts[-1]
        except BlockingIOError:
            return False
        if ended:
            raise EndOfStream("the peer closed the connection")
        return True

    def send(self, sent: List[int], buffers: List[Buffer], block: bool) -> bool:
        """Send once; see `Transport.send`."""
        flags = _BLOCKING if block else _NOT_BLOCKING
        try:
            if len(buffers) == 1 or self._sendmsg is None:
                sent.extend(map(self._send, buffers, flags))  # the first of them
            else:
                sent.extend(map(self._sendmsg, (buffers[:_MAX_BUFFERS],), ((),), flags))
        except BlockingIOError:
            return False
        return True

    def shutdown(self) -> None:
        """End both directions at once, also for processes that hold copies of the descriptor."""
        try:
            self.socket.shutdown(_socket.SHUT_RDWR)
        except OSError:
            pass

    def close(self) -> None:
        """Close the descriptor."""
        try:
            self.socket.close()
        except OSError:  # remote code has closed it
            pass


class PipeTransport:
    """A pair of pipes, or whatever else has two descriptors; see `Transport` for its methods.

    Args:
        read: the descriptor to read from; it is closed by `close`.
        write: the descriptor to write to; it is closed, too.
    """

    def __init__(self, read: int, write: int) -> None:
        self._read = read
        self._write = write
        for descriptor in {read, write}:
            os.set_blocking(descriptor, True)

    def fileno(self) -> int:
        """Return the descriptor to wait on for reading."""
        return self._read

    def write_fileno(self) -> int:
        """Return the descriptor to wait on for writing."""
        return self._write

    def receive(self, receiver: Inbox, block: bool) -> bool:
        """Receive once; see `Transport.receive`."""
        if not block and not wait(self._read, -1, 0)[0]:
            return False
        inbox = receiver.inbox
        if inbox is not None:
            inbox.extend(map(_read, (self._read,), _RECEIVE_SIZE))
            ended = not inbox[-1]
        else:
            direct = receiver.direct
            assert direct is not None
            view, counts = direct
            counts.extend(map(_readv, (self._read,), ((view,),)))
            ended = not counts[-1]
        if ended:
            raise EndOfStream("the peer closed the connection")
        return True

    def send(self, sent: List[int], buffers: List[Buffer], block: bool) -> bool:
        """Send once; see `Transport.send`."""
        if not block:
            if not wait(-1, self._write, 0)[1]:
                return False
            # A pipe in blocking mode takes all or waits. It has room for this much now.
            buffers = [b"".join(buffers[:_MAX_BUFFERS])[:PIECE_BYTES]]
        sent.extend(map(_writev, (self._write,), (buffers[:_MAX_BUFFERS],)))
        return True

    def shutdown(self) -> None:
        """Do nothing: a pipe ends with its last descriptor."""

    def close(self) -> None:
        """Close both descriptors."""
        for descriptor in {self._read, self._write}:
            try:
                _close(descriptor)
            except OSError:
                pass
        self._read = self._write = -1
