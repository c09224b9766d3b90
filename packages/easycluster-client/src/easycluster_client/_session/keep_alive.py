"""Whether the server still answers: asks when it was silent for a while, gives it up when it stays so."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .threaded_session import ThreadedSession

#: Seconds until the next look when something has come that its reader has not taken yet.
_LOOK_AGAIN = 0.05


def check_keep_alive(name: str, seconds: float | None) -> float | None:
    """Return a setting that can be used.

    Raises:
        ValueError: it is neither None nor a positive number of seconds.
    """
    if seconds is None:
        return None
    if not isinstance(seconds, (int, float)) or not seconds > 0:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ValueError(f"{name} must be a positive number of seconds or None, not {seconds!r}")
    return float(seconds)


class KeepAlive:
    """The liveness of one connection; for its background thread only.

    Args:
        interval: after so many seconds of silence the server is asked for a sign of life. None: never.
        timeout: after so many seconds of silence it is given up. None: never.
    """

    def __init__(self, interval: float | None, timeout: float | None) -> None:
        self._timeout = timeout
        # It has to be asked well before it is given up.
        self._interval = min(interval, timeout / 2) if interval and timeout else interval
        self._asked_at = 0.0

    def check(self, session: ThreadedSession) -> float | None:
        """Do what is due; return after how many seconds to check again, None: never.

        Only silence after a question counts: this process may have been stopped, or busy, itself.
        """
        interval, heard_at = self._interval, session.heard_at
        if interval is None or session.error is not None:
            return None
        now = monotonic()
        if now < heard_at + interval:
            return heard_at + interval - now
        if self._asked_at <= heard_at:
            self._asked_at = now  # before it is asked, which may take long
            session.ping()
        if self._timeout is None:
            return interval
        end = max(heard_at + self._timeout, self._asked_at + self._timeout - interval)
        if now < end:
            return end - now
        if session.has_bytes():
            return _LOOK_AGAIN
        session.give_up()
        return None
