"""Terminals of the tests' own, on which a program asks and somebody types."""

from __future__ import annotations

import os
import pty
import select
import termios
import time
from types import TracebackType

from helpers.waiting import PATIENCE


class Terminal:
    """A terminal.

    Attributes:
        name: its device, for the program that is to take it.
        shown: all that was shown on it so far.
    """

    def __init__(self) -> None:
        self._user, self._program = pty.openpty()
        self.name = os.ttyname(self._program)
        self.shown = ""

    @property
    def take(self) -> str:
        """Python statements by which a process becomes the leader of a session on this terminal."""
        # The first terminal that the leader of a session opens is the session's.
        return f"import os; os.setsid(); os.close(os.open({self.name!r}, os.O_RDWR))\n"

    @property
    def echoes(self) -> bool:
        """Whether what is typed is shown."""
        return bool(termios.tcgetattr(self._user)[3] & termios.ECHO)

    def read_until(self, text: str) -> None:
        """Wait until ``text`` is shown, after what was waited for before."""
        begin = len(self.shown)
        deadline = time.monotonic() + PATIENCE
        while text not in self.shown[begin:]:
            ready, _, _ = select.select([self._user], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"waited in vain for {text!r} on the terminal, which shows {self.shown!r}"
            self.shown += os.read(self._user, 4096).decode()

    def enter(self, text: str) -> None:
        """Type something."""
        os.write(self._user, text.encode())

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        os.close(self._user)
        os.close(self._program)
