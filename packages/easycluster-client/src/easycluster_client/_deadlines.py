"""Time limits: checks of their values, deadlines, and the errors for limits that were too short."""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Callable

from easycluster_protocol.errors import CallTimeout, ConnectError
from easycluster_server._io.transport import wait

from ._attempts import find_attempt

#: The longest single wait, in seconds: the kernel refuses waits of more than some weeks.
LONGEST_WAIT = 86400.0

#: Seconds that making a connection may take, unless the user gives another limit.
CONNECT_TIMEOUT = 30.0

#: The longest limit on connecting: a day.
_LONGEST_CONNECT_TIMEOUT = 86400

#: Seconds between two checks whether ssh is asking the user something; the shorter one near the deadline.
_PROMPT_INTERVAL = 0.25
_SHORTEST_PROMPT_INTERVAL = 0.02

#: Seconds that suffice to ask the server about a call, over any usable network.
_QUERY_SECONDS = 0.5


def check_timeout(timeout: float | None) -> float | None:
    """Return a limit on waiting that has been checked; None means that there is no limit.

    Raises:
        TypeError: the limit is not a number.
        ValueError: the limit is negative or NaN.
    """
    if timeout is None:
        return None
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"timeout must be a number of seconds, or None for no limit, not {timeout!r}")
    if not timeout >= 0:
        raise ValueError(f"timeout must be a number of seconds from 0 on, not {timeout!r}")
    return timeout


def deadline_after(timeout: float | None) -> float | None:
    """Return the moment, on the clock of `time.monotonic`, at which a limit that begins now ends.

    A negative limit ends now: callers may pass the time that is left until a deadline of their own.

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
    """Return the seconds until a deadline, at most `LONGEST_WAIT`; None: there is no deadline."""
    return None if deadline is None else min(max(0.0, deadline - time.monotonic()), LONGEST_WAIT)


def query_margin(timeout: float) -> float:
    """Return how many seconds before the end of a limit the server is asked whether it began the call."""
    return min(timeout / 2, _QUERY_SECONDS)


def new_timeout_error(text: str, state: str, response: object = None) -> CallTimeout:
    """Return the error for a limit that was too short.

    Args:
        text: the message.
        state: see `CallTimeout`.
        response: see `CallTimeout`.
    """
    error = _timeout_class()(text)
    error.state = state
    error.response = response
    return error


@functools.lru_cache(maxsize=1)
def _timeout_class() -> type[CallTimeout]:
    """Return a class of `CallTimeout` that scripts catch as the TimeoutError of `concurrent.futures`, too."""
    if sys.version_info >= (3, 11):  # novm
        return CallTimeout
    # Until 3.10 futures have TimeoutError classes of their own.
    import asyncio
    import concurrent.futures

    bases = (CallTimeout, concurrent.futures.TimeoutError, asyncio.TimeoutError)
    return type("CallTimeout", bases, {"__module__": CallTimeout.__module__})


def check_connect_timeout(seconds: float) -> float:
    """Return a limit on connecting that has been checked.

    Raises:
        ValueError: the limit is not a positive number of seconds, or is longer than a day.
    """
    if not isinstance(seconds, (int, float)) or not 0 < seconds <= _LONGEST_CONNECT_TIMEOUT:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ValueError(
            f"connect_timeout must be a number of seconds, from above 0 to {_LONGEST_CONNECT_TIMEOUT},"
            f" not {seconds!r}"
        )
    return float(seconds)


def _is_never_prompting() -> bool:
    return False


class Deadline:
    """The end of the time that making a connection may take.

    Args:
        seconds: the limit.
        is_prompting: returns whether ssh is asking the user something at the moment; that time does not
            count.
    """

    def __init__(self, seconds: float, is_prompting: Callable[[], bool] = _is_never_prompting) -> None:
        self._seconds = seconds
        self._is_prompting = is_prompting
        self._end = time.monotonic() + seconds
        self._attempt = find_attempt()

    def share(self, parts: int) -> Deadline:
        """Return a deadline that leaves an equal part of the time that is left."""
        if parts == 1:
            return self
        part = Deadline(self.left / parts)
        part._seconds = self._seconds  # in the error
        return part

    @property
    def left(self) -> float:
        """The seconds that are left."""
        return max(0.0, self._end - time.monotonic())

    def wait(self, read: int, write: int = -1) -> None:
        """Wait until there is something to read, or room to write.

        Args:
            read: the descriptor to read from, or -1.
            write: the descriptor to write to, or -1.

        Raises:
            ConnectError: the time is over, or the attempt was given up.
        """
        while True:
            if self._attempt is not None:
                self._attempt.check()
            started_at = time.monotonic()
            if any(wait(read, write, min(_PROMPT_INTERVAL, max(self.left, _SHORTEST_PROMPT_INTERVAL)))):
                return
            if self._is_prompting():
                self._end += time.monotonic() - started_at
            elif self.left == 0.0:
                raise ConnectError(f"no answer within {self._seconds:g} seconds")
