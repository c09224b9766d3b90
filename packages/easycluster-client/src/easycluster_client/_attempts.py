"""Attempts to connect that another thread may give up before their time is over."""

from __future__ import annotations

import threading
from collections.abc import Callable

from easycluster_protocol.errors import ConnectError


class Attempt:
    """An attempt to connect that another thread may give up. It belongs to the thread that is inside its
    ``with`` block, and to the deadlines that are made there.

    Attributes:
        reason: why it was given up.
    """

    def __init__(self) -> None:
        self._given_up = threading.Event()
        self.reason = ""
        self._endings: list[Callable[[], object]] = []

    def __enter__(self) -> None:
        _current.attempt = self

    def __exit__(self, *_: object) -> None:
        _current.attempt = None

    @property
    def is_given_up(self) -> bool:
        """Whether it was given up."""
        return self._given_up.is_set()

    def end_by(self, ending: Callable[[], object]) -> None:
        """Call a function when the attempt is given up: it wakes the thread that connects."""
        self._endings.append(ending)
        if self.is_given_up:
            ending()

    def give_up(self, reason: str) -> None:
        """Let the attempt end soon, with an error of this text."""
        self.reason = reason
        self._given_up.set()
        for ending in list(self._endings):
            ending()

    def check(self) -> None:
        """Raise a `ConnectError` if the attempt was given up."""
        if self.is_given_up:
            raise ConnectError(self.reason)

    def sleep(self, seconds: float) -> None:
        """Wait, until the attempt is given up at most; see `check`."""
        self._given_up.wait(seconds)
        self.check()


_current = threading.local()


def find_attempt() -> Attempt | None:
    """Return the attempt that the calling thread makes, or None if nobody may give it up."""
    found: Attempt | None = getattr(_current, "attempt", None)
    return found
