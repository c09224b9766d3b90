"""Transports: how bytes come and go. One interface over sockets and over pairs of pipes.

Each step is one C call that both moves bytes and notes how many (``notes.extend(map(step, ...))``):
Python runs signal handlers only between bytecodes, so no handler that raises can come between the
two and desynchronise the stream.
"""

from __future__ import annotations

import _socket  # all that is needed of `socket`, which takes 5 ms to import
import os
import select
from typing import TYPE_CHECKING, Any, Dict, List, Tuple

from easycluster_protocol._limits import SMALL_MESSAGE_BYTES

if TYPE_CHECKING:
    from easycluster_protocol._wire.receiver import Receiver

#: Buffers that one gathered write takes; the smallest IOV_MAX that systems have is 1024.
_GATHER = 512

# Arguments of one step, as `map` takes them.
_SIZE = (SMALL_MESSAGE_BYTES,)
_WAIT = (0,)
_NOW = (getattr(_socket, "MSG_DONTWAIT", 0),)


class EndOfStream(EOFError):
    """The peer will send nothing more."""


def broke(error: OSError) -> bool:
    """Whether the error says that a connection broke.

    Else it was raised by a signal handler of the user's that came in the middle of a step: many
    raise `TimeoutError`, which is an OSError too.
    """
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    return traceback is not None and traceback.tb_frame.f_globals is globals()


def wait(read: int, write: int, timeout: float | None) -> Tuple[bool, bool]:
    """Wait until a descriptor is ready.

    Args:
        read: the descriptor to read from, or -1.
        write: the descriptor to write to, or -1.
        timeout: in seconds; None waits for ever.

    Returns:
        Whether a read would not block, and whether a write would not.
    """
    poll = select.poll()
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


class SocketTransport:
    """A connected stream socket, in blocking mode.

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

    def receive(self, receiver: Receiver, block: bool) -> bool:
        """Receive once.

        Args:
            receiver: takes the bytes.
            block: whether to wait for them.

        Returns:
            Whether anything came.

        Raises:
            EndOfStream: nothing more will come.
            OSError: the connection broke.
        """
        flags = _WAIT if block else _NOW
        notes = receiver.inbox
        try:
            if notes is not None:
                notes.extend(map(self._recv, _SIZE, flags))
            else:
                direct = receiver.direct
                assert direct is not None
                view, notes = direct
                notes.extend(map(self._recv_into, (view,), (0,), flags))
        except BlockingIOError:
            return False
        if not notes[-1]:
            raise EndOfStream("the peer closed the connection")
        return True

    def send(self, sent: List[int], buffers: List[Any], block: bool) -> bool:
        """Send once, some of ``buffers``.

        Args:
            sent: to it is appended how much was sent.
            buffers: what remains to be sent.
            block: whether to wait until something can be sent.

        Returns:
            Whether anything was sent.
        """
        flags = _WAIT if block else _NOW
        try:
            if len(buffers) == 1 or self._sendmsg is None:
                sent.extend(map(self._send, buffers, flags))  # the first of them
            else:
                sent.extend(map(self._sendmsg, (buffers[:_GATHER],), ((),), flags))
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
        self.socket.close()


class PipeTransport:
    """A pair of descriptors, one to read from and one to write to."""

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

    def receive(self, receiver: Receiver, block: bool) -> bool:
        """Receive once; see `SocketTransport.receive`."""
        if not block and not wait(self._read, -1, 0)[0]:
            return False
        notes = receiver.inbox
        if notes is not None:
            notes.extend(map(os.read, (self._read,), (SMALL_MESSAGE_BYTES,)))
        else:
            direct = receiver.direct
            assert direct is not None
            view, notes = direct
            notes.extend(map(os.readv, (self._read,), ((view,),)))
        if not notes[-1]:
            raise EndOfStream("the peer closed the connection")
        return True

    def send(self, sent: List[int], buffers: List[Any], block: bool) -> bool:
        """Send once; see `SocketTransport.send`."""
        if not block:
            if not wait(-1, self._write, 0)[1]:
                return False
            # A pipe in blocking mode takes all or waits; for so much there is room now.
            buffers = [b"".join(buffers[:_GATHER])[: select.PIPE_BUF]]
        sent.extend(map(os.writev, (self._write,), (buffers[:_GATHER],)))
        return True

    def shutdown(self) -> None:
        """Do nothing: a pipe ends with its last descriptor."""

    def close(self) -> None:
        """Close both descriptors."""
        for descriptor in {self._read, self._write}:
            try:
                os.close(descriptor)
            except OSError:
                pass
        self._read = self._write = -1
