"""Limits in time: how they are checked, when they end, and the errors for limits that were too short."""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Callable

from easycluster_protocol.errors import CallTimeout, ConnectError
from easycluster_server._io.transport import wait

#: Seconds for which the kernel is asked to wait at most at a time: it knows no longer ones.
LONGEST_WAIT = 86400.0

#: Seconds that making a connection may take unless the user says otherwise.
CONNECT_TIMEOUT = 30.0

#: The longest limit on connecting: a day.
_LONGEST_CONNECT_TIMEOUT = 86400

#: Seconds between two looks whether the user is being asked; fewer when hardly any are left.
_PROMPT_INTERVAL = 0.25
_SHORTEST_PROMPT_INTERVAL = 0.02

#: Seconds that suffice for a question and its answer, over any network that one would work with.
_TIME_TO_ASK = 0.5


def check_timeout(timeout: float | None) -> float | None:
    """Return a limit that can be used.

    Raises:
        TypeError: it is no number.
        ValueError: it is negative, or not a number of seconds at all (NaN).
    """
    if timeout is None:
        return None
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"timeout must be a number of seconds, or None for no limit, not {timeout!r}")
    if not timeout >= 0:
        raise ValueError(f"timeout must be a number of seconds from 0 on, not {timeout!r}")
    return timeout


def deadline_after(timeout: float | None) -> float | None:
    """Return the moment (of `time.monotonic`) at which a limit that begins now ends: now, if it is negative,
    as what is left until a deadline of the caller's may be.

    Raises:
        TypeError, ValueError: see `check_timeout`.
    """
    if timeout is None:
        return None
    if timeout.__class__ in (int, float) and timeout < 0:
        timeout = 0
    check_timeout(timeout)
    return time.monotonic() + timeout


def seconds_until(deadline: float | None) -> float | None:
    """Return the seconds until then, of what can be waited for at once; None: there is no limit."""
    return None if deadline is None else min(max(0.0, deadline - time.monotonic()), LONGEST_WAIT)


def query_lead(timeout: float) -> float:
    """Return how many seconds before the end of a limit to ask what has become of the call."""
    return min(timeout / 2, _TIME_TO_ASK)


def new_timeout_error(text: str, state: str, response: object = None) -> CallTimeout:
    """Return the error for a limit that was too short."""
    found = _error_class()(text)
    found.state = state
    found.response = response
    return found


@functools.lru_cache(maxsize=1)
def _error_class() -> type[CallTimeout]:
    """Return the class that scripts for `concurrent.futures` catch too."""
    if sys.version_info >= (3, 11):  # novm
        return CallTimeout
    # Before, that of futures was not the built-in one.
    import asyncio
    import concurrent.futures

    bases = (CallTimeout, concurrent.futures.TimeoutError, asyncio.TimeoutError)
    return type("CallTimeout", bases, {"__module__": CallTimeout.__module__})


def check_connect_timeout(seconds: float) -> float:
    """Return a limit that can be used.

    Raises:
        ValueError: it is no positive number of seconds.
    """
    if not isinstance(seconds, (int, float)) or not 0 < seconds <= _LONGEST_CONNECT_TIMEOUT:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ValueError(
            f"connect_timeout must be a number of seconds, from above 0 to {_LONGEST_CONNECT_TIMEOUT},"
            f" not {seconds!r}"
        )
    return float(seconds)


def _never() -> bool:
    return False


class Deadline:
    """How much time is left for connecting.

    Args:
        seconds: the limit.
        is_prompting: returns whether the user is being asked something just now.
    """

    def __init__(self, seconds: float, is_prompting: Callable[[], bool] = _never) -> None:
        self._seconds = seconds
        self._is_prompting = is_prompting
        self._end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds that are left."""
        return max(0.0, self._end - time.monotonic())

    def wait(self, read: int, write: int = -1) -> None:
        """Wait until there is something to read, or room to write.

        Args:
            read: the descriptor to read from, or -1.
            write: the descriptor to write to, or -1.

        Raises:
            ConnectError: the time is over.
        """
        while True:
            begin = time.monotonic()
            if any(wait(read, write, min(_PROMPT_INTERVAL, max(self.left, _SHORTEST_PROMPT_INTERVAL)))):
                return
            if self._is_prompting():
                self._end += time.monotonic() - begin
            elif self.left == 0.0:
                raise ConnectError(f"no answer within {self._seconds:g} seconds")
