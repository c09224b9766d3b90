"""What hosts print, until `sys.stderr` takes it.

A reader of standard error that is slow holds the hosts up, as it would hold up a program of this computer: so
nothing is lost. One that has stopped must not hold up calls: what hosts print is then dropped, and counted.
"""

from __future__ import annotations

import sys
import time
from collections import deque

from easycluster_server._system import PIECE_BYTES
from easycluster_server._system.error_stream import find_descriptor, find_full_descriptor, print_error

#: The number of characters from which on hosts have to wait.
_FULL = 1 << 20

#: Seconds without progress after which a reader has stopped.
_STALLED_SECONDS = 5.0


class Backlog:
    """Text that waits for `sys.stderr`. It belongs to the thread that reads what hosts print."""

    def __init__(self) -> None:
        self._pieces: deque[str] = deque()
        self._size = 0
        self._latest_progress = 0.0
        self._has_stopped = False

    @property
    def is_empty(self) -> bool:
        """Whether everything was printed."""
        return not self._pieces

    @property
    def is_full(self) -> bool:
        """Whether hosts have to wait."""
        return self._size >= _FULL

    @property
    def descriptor(self) -> int:
        """The descriptor that has no room at present, or -1."""
        return -1 if self.is_empty else find_full_descriptor(sys.stderr)

    def add(self, text: str) -> None:
        """Print whole lines, now or later."""
        if self.is_empty:
            self._latest_progress = time.monotonic()
        for piece in _split(text):
            self._pieces.append(piece)
            self._size += len(piece)
        self.drain()

    def drain(self) -> None:
        """Print as much as there is room for."""
        while self._pieces:
            if self.descriptor >= 0:
                if not self._has_stopped and self.delay > 0:
                    return
                self._has_stopped = True
            else:
                self._has_stopped = False
                self._latest_progress = time.monotonic()
            piece = self._pieces.popleft()
            self._size -= len(piece)
            print_error(piece, patience=0)

    @property
    def delay(self) -> float:
        """The seconds after which a reader that reads nothing has stopped."""
        return self._latest_progress + _STALLED_SECONDS - time.monotonic()


def _split(text: str) -> list[str]:
    """Return pieces of at most `PIECE_BYTES` bytes, each of whole lines where that can be.

    Only a pipe that can be read from no more is slow; everything else takes the text as it is.
    """
    if find_descriptor(sys.stderr) < 0:
        return [text]
    most = PIECE_BYTES // 4  # no encoding takes more for a character
    pieces: list[str] = []
    while text:
        end = text.rfind("\n", 0, most) + 1 or most
        pieces.append(text[:end])
        text = text[end:]
    return pieces
