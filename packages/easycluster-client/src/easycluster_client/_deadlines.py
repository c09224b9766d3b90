"""How long the answer to a call is waited for, and what is raised when that was not long enough."""

from __future__ import annotations

import functools
import sys
import time

from easycluster_protocol.errors import CallTimeout

#: Seconds for which the kernel is asked to wait at most at a time: it knows no longer ones.
LONGEST_WAIT = 86400.0

#: Seconds that suffice for a question and its answer, over any network that one would work with.
_TIME_TO_ASK = 0.5


def check(timeout: float | None) -> float | None:
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


def deadline_of(timeout: float | None) -> float | None:
    """Return the moment (of `time.monotonic`) at which a limit that begins now ends: now, if it is negative,
    as what is left until a deadline of the caller's may be.

    Raises:
        TypeError, ValueError: see `check`.
    """
    if timeout is None:
        return None
    if timeout.__class__ in (int, float) and timeout < 0:
        timeout = 0
    check(timeout)
    return time.monotonic() + timeout


def left_until(deadline: float | None) -> float | None:
    """Return the seconds until then, of what can be waited for at once; None: there is no limit."""
    return None if deadline is None else min(max(0.0, deadline - time.monotonic()), LONGEST_WAIT)


def time_to_ask(timeout: float) -> float:
    """Return how many seconds before the end of a limit to ask what has become of the call."""
    return min(timeout / 2, _TIME_TO_ASK)


def error(text: str, state: str, response: object = None) -> CallTimeout:
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
