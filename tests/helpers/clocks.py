"""Clocks that a test moves: what waits by them waits as long as it would, and takes none of the real time."""

from __future__ import annotations

from threading import get_ident

from easycluster_server._io import transport
from easycluster_server._io.interrupts import OwnedLock


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


def make_clocked_lock(clock: Clock) -> OwnedLock:
    """Return a lock for which a thread waits by this clock, if it waits with a limit."""

    class ClockedLock(OwnedLock):  # type: ignore[misc]  # final for type checkers, as its base
        def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
            if timeout < 0:
                return super().acquire(blocking)
            taken = super().acquire(False)
            if not taken:
                clock.now += timeout
            return taken

    return ClockedLock()
