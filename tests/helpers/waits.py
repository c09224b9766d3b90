"""Waiting for descriptors under the eyes of a test."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from easycluster_server._io import transport


def do_nothing() -> None:
    """Let nothing happen."""


class NotedWait:
    """Stands for `transport.wait`: notes how it is called, and lets the test act first.

    Args:
        act: called before each wait, as another process or thread would act meanwhile.
        wait: waits then, by the clock of a test perhaps.

    Attributes:
        calls: the arguments of each wait: descriptors to read from and to write to, and the limit.
        act: see above.
    """

    def __init__(self, act: Callable[[], object] = do_nothing, wait: Any = transport.wait) -> None:
        self.calls: list[tuple[int, int, float | None]] = []
        self.act = act
        self._wait = wait

    @property
    def timeouts(self) -> list[float | None]:
        """How long each wait was to last."""
        return [timeout for _, _, timeout in self.calls]

    def __call__(self, read: int, write: int, timeout: float | None) -> tuple[bool, bool]:
        """Wait."""
        self.calls.append((read, write, timeout))
        self.act()
        ready: tuple[bool, bool] = self._wait(read, write, timeout)
        return ready
