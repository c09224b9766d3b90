"""Gates at which threads wait for their turn to read, without the threads."""

from __future__ import annotations

from collections.abc import Callable


class NotedGate:
    """Counts how often it is opened.

    Args:
        on_open: called each time, as the thread would go on that waits at the gate.

    Attributes:
        openings: how often it was opened.
    """

    def __init__(self, on_open: Callable[[], object] = lambda: None) -> None:
        self.openings = 0
        self._on_open = on_open

    def open(self) -> None:
        """Open it."""
        self.openings += 1
        self._on_open()
