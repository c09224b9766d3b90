"""Whether the server still answers: asks when it was silent for a while, gives it up when it stays so."""

from __future__ import annotations

from time import monotonic
from typing import Protocol

from easycluster_protocol.errors import ConnectionLost

#: Seconds until the next check when something has come that its reader has not taken yet.
_UNREAD_INTERVAL = 0.05


class WatchedServer(Protocol):
    """The connection to a server, as far as its liveness is concerned.

    Attributes:
        heard_at: when something of the server's came last, by the monotonic clock.
    """

    heard_at: float

    @property
    def error(self) -> ConnectionLost | None:
        """Why the connection ended, or None while it is open."""
        ...

    def ping(self) -> None:
        """Ask the server for a sign of life."""

    def has_bytes(self) -> bool:
        """Whether something has come that no thread has read yet."""
        ...

    def give_up(self) -> None:
        """End the connection to a server that does not answer."""


def check_keep_alive(name: str, seconds: float | None) -> float | None:
    """Check a setting and return it.

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
        interval: seconds of silence after which the server is asked for a sign of life; None: never.
        timeout: seconds of silence after which it is given up; None: never.
    """

    def __init__(self, interval: float | None, timeout: float | None) -> None:
        self._timeout = timeout
        # It has to be asked well before it is given up.
        self._interval = min(interval, timeout / 2) if interval and timeout else interval
        self._asked_at = 0.0

    def check(self, server: WatchedServer) -> float | None:
        """Do whatever is due; return after how many seconds to check again, None: never.

        Only silence after a question counts: this process may have been stopped, or busy, itself.
        """
        interval, heard_at = self._interval, server.heard_at
        if interval is None or server.error is not None:
            return None
        now = monotonic()
        if now < heard_at + interval:
            return heard_at + interval - now
        if self._asked_at <= heard_at:
            self._asked_at = now  # before it is asked, which may take long
            server.ping()
        if self._timeout is None:
            return interval
        end = max(heard_at + self._timeout, self._asked_at + self._timeout - interval)
        if now < end:
            return end - now
        if server.has_bytes():
            return _UNREAD_INTERVAL
        server.give_up()
        return None
