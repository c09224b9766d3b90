"""The lines of a guardian within what its host prints: they say how a process is that does not read."""

from __future__ import annotations

import os
import re
from time import monotonic

#: The longest of these lines, without the mark.
_LONGEST = 64


class GuardianReports:
    """Takes the lines of one guardian out of what its host prints; the thread that reads that does.

    Attributes:
        mark: the beginning of these lines, which nothing else begins with.
        latest: the latest of them, and when it came, on the clock of `time.monotonic`; None: there was none.
    """

    def __init__(self) -> None:
        self.mark = b"\0" + os.urandom(8).hex().encode() + b":"
        self.latest: tuple[bytes, float] | None = None
        self._line = re.compile(re.escape(self.mark) + rb"([^\n]*\n)")
        self._held = b""

    def take_out(self, data: bytes) -> bytes:
        """Return what was printed, without the lines of the guardian.

        Args:
            data: what has come; none: this is the end.
        """
        text = self._held + data
        lines = self._line.findall(text)
        if lines:
            self.latest = lines[-1], monotonic()
            text = self._line.sub(b"", text)
        begin = self._find_begin(text) if data else len(text)
        self._held = text[begin:]
        return text[:begin]

    def _find_begin(self, text: bytes) -> int:
        """Return where a line of the guardian begins that has not come completely, or the end."""
        begin = text.rfind(self.mark[:1], max(0, len(text) - len(self.mark) - _LONGEST))
        if begin >= 0 and text.startswith(self.mark[: len(text) - begin], begin):
            return begin
        return len(text)
