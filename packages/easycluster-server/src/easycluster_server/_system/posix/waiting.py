"""Waiting for several descriptors at once, and ending such a wait from elsewhere."""

from __future__ import annotations

import math
import select
import socket
from typing import Any, Collection, List, Optional

#: Makes what waits for descriptors that were registered with it; None where the system has none.
make_epoll: Any = getattr(select, "epoll", None)

#: Seconds after which a wait of the main thread has to end so that signal handlers run; None: signals end it.
LONGEST_WAIT: Optional[float] = None


def wait_for_any(readable: Collection[int], timeout: Optional[float], writable: int = -1) -> List[int]:
    """Wait until one of several descriptors can be read, or has failed.

    Args:
        readable: the descriptors.
        timeout: in seconds; None waits for ever.
        writable: one more descriptor, for which to wait until it can be written; -1: none.

    Returns:
        Those that are ready, or have failed.
    """
    poll = select.poll()
    for descriptor in readable:
        poll.register(descriptor, select.POLLIN)
    if writable >= 0:
        poll.register(writable, select.POLLOUT)
    # Rounded up: or a thread would look several times in the last millisecond.
    limit = None if timeout is None else max(0, math.ceil(timeout * 1000))
    return [descriptor for descriptor, _ in poll.poll(limit)]


class Wakeup:
    """A descriptor that can be read once somebody has called `wake`.

    It is a socket, because one that is closed never writes into a file that got its number.
    """

    def __init__(self) -> None:
        self._reading, self._writing = socket.socketpair()
        for end in (self._reading, self._writing):
            end.setblocking(False)

    def fileno(self) -> int:
        """Return the descriptor, or -1 when it is closed."""
        return self._reading.fileno()

    def wake(self) -> None:
        """Make the descriptor readable; takes no lock, so signal handlers and finalisers may call it."""
        try:
            self._writing.send(b"x")
        except OSError:  # it is full, so somebody will wake anyway; or it is closed
            pass

    def drain(self) -> None:
        """Make the descriptor unreadable until `wake` is called again."""
        try:
            self._reading.recv(4096)
        except BlockingIOError:
            pass

    def close(self) -> None:
        """Close the descriptors."""
        self._reading.close()
        self._writing.close()

    def __del__(self) -> None:
        """Close the descriptors; an interrupt may have kept the owner from that."""
        try:
            self.close()
        except AttributeError:  # it came in the middle of making them
            pass
