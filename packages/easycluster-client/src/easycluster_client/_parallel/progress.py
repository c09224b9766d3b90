"""Lines on a terminal that say how far a long work has come."""

from __future__ import annotations

import sys
import time

from easycluster_server._system.error_stream import print_error

#: Seconds until the first line, and between two lines.
_INTERVAL = 3.0


class Progress:
    """Prints a line to standard error every few seconds: nothing about work that is done before.

    Args:
        is_wanted: whether to print; None: if standard error is a terminal.
        total: the number of hosts.
    """

    def __init__(self, is_wanted: bool | None, total: int) -> None:
        self._is_wanted = _is_terminal() if is_wanted is None else is_wanted
        self._total = total
        self._next = time.monotonic() + _INTERVAL

    def tell(self, connected: int, failed: int) -> None:
        """Print a line, if it is time for one."""
        now = time.monotonic()
        if not self._is_wanted or now < self._next:
            return
        self._next = now + _INTERVAL
        left = self._total - connected - failed
        text = f"easycluster: {connected} of {self._total} hosts connected, {failed} failed, {left} to go\n"
        print_error(text, patience=0)


def _is_terminal() -> bool:
    try:
        return sys.stderr.isatty()
    except Exception:
        return False
