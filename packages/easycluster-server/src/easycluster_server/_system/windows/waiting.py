"""Waiting for several sockets at once, and ending such a wait from elsewhere."""

from __future__ import annotations

import select
import socket
import time
from typing import Any, Collection, List, Optional, Sequence, cast

from .sockets import own_port
from .transport import SLICE

#: The most sockets that one call of select takes, and seconds to wait for each such part of more.
_MAX_SELECTED = 512
_PART_SECONDS = 0.01

#: Seconds after which a wait in the main thread has to end so that signal handlers run.
LONGEST_WAIT: Optional[float] = 0.2


#: There is no epoll here.
make_epoll = cast("Any", None)


def wait_for_any(readable: Collection[int], timeout: Optional[float], writable: int = -1) -> List[int]:
    """Wait until one of several sockets can be read, or has failed.

    Args:
        readable: the sockets.
        timeout: in seconds; None waits for ever.
        writable: standard error, which nobody can wait for here; -1: none.

    Returns:
        Those that can be read, or have failed.
    """
    if writable >= 0:
        timeout = _PART_SECONDS if timeout is None else min(timeout, _PART_SECONDS)
    sockets = list(readable)
    parts = [sockets[start : start + _MAX_SELECTED] for start in range(0, len(sockets), _MAX_SELECTED)]
    longest = SLICE if len(parts) == 1 else _PART_SECONDS
    deadline = None if timeout is None else time.monotonic() + timeout
    while True:
        for part in parts or [[]]:
            left = longest if deadline is None else max(0.0, min(longest, deadline - time.monotonic()))
            found = _select(part, left)
            if found:
                return found
        if deadline is not None and time.monotonic() >= deadline:
            return []


def _select(sockets: Sequence[int], seconds: float) -> List[int]:
    if not sockets:
        time.sleep(seconds)
        return []
    try:
        return select.select(sockets, (), (), seconds)[0]
    except OSError as error:
        if getattr(error, "winerror", None) is None:  # a signal handler raised it
            raise
        return [each for each in sockets if _is_closed(each)]


def _is_closed(descriptor: int) -> bool:
    try:
        select.select([descriptor], (), (), 0)
    except OSError:
        return True
    return False


class Wakeup:
    """A socket that can be read once somebody has called `wake`.

    It sends to itself. A pair of TCP sockets would cost more to make, and keep a port for minutes afterwards.
    """

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            own_port(self._socket)
            self._socket.bind(("127.0.0.1", 0))
            self._socket.connect(self._socket.getsockname())
            self._socket.setblocking(False)
        except BaseException:
            self._socket.close()
            raise

    def fileno(self) -> int:
        """Return the descriptor, or -1 when it is closed."""
        return self._socket.fileno()

    def wake(self) -> None:
        """Make the descriptor readable; takes no lock, so signal handlers and finalisers may call it."""
        try:
            self._socket.send(b"x")
        except OSError:  # it is full, so somebody will wake anyway; or it is closed
            pass

    def drain(self) -> None:
        """Make the descriptor unreadable until `wake` is called again."""
        try:
            while self._socket.recv(1):
                pass
        except OSError:  # it is empty, or closed
            pass

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()
