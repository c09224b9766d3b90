"""How the guardian tells a client behind ssh that its worker does not read: nobody can ask it there.

It looks at the link every few seconds. Bytes that lie there at two looks running are read by nobody, and then
a line on standard error says how the worker is. The client takes it out of what the host prints.
"""

from __future__ import annotations

import fcntl
import struct
import termios
import time

from .proc import describe

_COUNT = struct.Struct("@i")


class UnreadReports:
    """Looks at one link.

    Args:
        link: the descriptor from which the worker reads.
        worker: the process id of the worker.
        interval: seconds between two looks; 0: never look.
        mark: the beginning of the lines.
    """

    def __init__(self, link: int, worker: int, interval: float, mark: bytes) -> None:
        self._link = link
        self._worker = worker
        self._interval = interval
        self._mark = mark
        self._last = time.monotonic()
        self._was_unread = False

    def limit_wait(self, timeout: float | None) -> float | None:
        """Return the seconds until the next look, if they are fewer than a timeout; None: for ever."""
        if not self._interval:
            return timeout
        left = max(0.0, self._last + self._interval - time.monotonic())
        return left if timeout is None else min(left, timeout)

    def look(self) -> bytes:
        """Look, if that is due; return the line to print, or nothing."""
        if not self._interval or time.monotonic() < self._last + self._interval:
            return b""
        self._last = time.monotonic()
        try:
            (count,) = _COUNT.unpack(fcntl.ioctl(self._link, termios.FIONREAD, bytes(_COUNT.size)))
        except OSError:  # the link has ended
            count = 0
        was_unread, self._was_unread = self._was_unread, count > 0
        return self._mark + describe(self._worker) if was_unread and count else b""
