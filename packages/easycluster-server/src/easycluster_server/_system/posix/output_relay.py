"""The way of a worker's output over ssh: a pipe, which its guardian copies to standard error.

So what the worker has left behind holds its end of the pipe, and not the channel of ssh, which ends with the
guardian.
"""

from __future__ import annotations

import os
import select
from typing import Any

from .transport import PIECE_BYTES

_STANDARD_ERROR = 2

#: More than a pipe holds.
_CHUNK = 1 << 20


class OutputRelay:
    """Copies without ever waiting: while nobody reads standard error, it does not read the pipe.

    Args:
        reading: the reading end of the pipe; -1: there is none.
        poll: a `select.poll`, in which it registers `watched`.

    Attributes:
        watched: the descriptor that it waits for; -1: everything has been printed that ever will be.
        pending: what has been read and not written.
    """

    def __init__(self, reading: int, poll: Any) -> None:
        if reading >= 0:
            os.set_blocking(reading, False)
        self.watched = -1
        self.pending = b""
        self._reading = reading
        self._poll = poll
        self._watch()

    def copy(self) -> None:
        """Read or write once; `watched` is ready for it."""
        if self.pending:
            # As long as there is room, pieces end with a line: others may print to standard error, too.
            end = self.pending.rfind(b"\n", 0, PIECE_BYTES) + 1 or PIECE_BYTES
            try:
                end = os.write(_STANDARD_ERROR, self.pending[:end])
            except BlockingIOError:  # somebody has set it to non-blocking mode
                end = 0
            except OSError:  # nobody will read it any more, or the disk is full
                pass
            self.pending = self.pending[end:]
            self._watch()
        else:
            self.take_all()

    def take_all(self) -> None:
        """Read everything that has been printed so far."""
        try:
            data = os.read(self._reading, _CHUNK)
        except OSError:  # there is nothing, or the pipe has ended
            return
        if not data:
            os.close(self._reading)
            self._reading = -1
        self.pending += data
        self._watch()

    def add(self, line: bytes) -> None:
        """Print a line of the guardian's own, after what has been read."""
        self.pending += line
        self._watch()

    def _watch(self) -> None:
        if self.watched >= 0:
            self._poll.unregister(self.watched)
        self.watched = _STANDARD_ERROR if self.pending else self._reading
        if self.watched >= 0:
            self._poll.register(self.watched, select.POLLOUT if self.pending else select.POLLIN)
