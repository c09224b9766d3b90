"""Clocks that a test moves: what waits by them waits as long as it would, and takes none of the real time."""

from __future__ import annotations

from threading import get_ident
from typing import Any

from easycluster_server._io import transport


class Clock:
    """Stands for the module `time`, and for waiting, in the thread that makes it; other threads wait really.

    Attributes:
        now: what it shows.
    """

    def __init__(self) -> None:
        self.now = 1000.0
        self._thread = get_ident()

    def monotonic(self) -> float:
        """Return what it shows."""
        return self.now

    def wait(self, read: int, write: int, timeout: float | None) -> tuple[bool, bool]:
        """Stand for `transport.wait`: what is ready now is found, or else the whole time passes."""
        if timeout is None or get_ident() != self._thread:
            return transport.wait(read, write, timeout)
        ready = transport.wait(read, write, 0.0)
        if not any(ready):
            self.now += timeout
        return ready


class ClockedLock:
    """Stands for a lock: waiting for it with a limit lets a clock go on.

    Args:
        clock: that clock.
        lock: the lock itself.
    """

    def __init__(self, clock: Clock, lock: Any) -> None:
        self._clock = clock
        self._lock = lock

    def acquire(self, block: bool = True, timeout: float = -1) -> bool:
        """Take it; with a limit, take it if it is free now, or else let the whole time pass."""
        if timeout < 0:
            return bool(self._lock.acquire(block))
        taken = bool(self._lock.acquire(False))
        if not taken:
            self._clock.now += timeout
        return taken

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *details: object) -> None:
        self._lock.release()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._lock, name)
