"""Liveness of the server: it is pinged after some silence, and given up when the silence goes on."""

from __future__ import annotations

from time import monotonic
from typing import Protocol

from easycluster_protocol.errors import ConnectionLost

#: Seconds until the next check when bytes have come that no thread has read yet.
_UNREAD_INTERVAL = 0.05


class WatchedServer(Protocol):
    """The connection to a server, as far as its liveness is concerned.

    Attributes:
        heard_at: when the server last sent something, on the clock of `time.monotonic`.
    """

    heard_at: float

    @property
    def error(self) -> ConnectionLost | None:
        """Why the connection ended, or None while it is open."""
        ...

    def ping(self) -> None:
        """Ask the server for a sign of life."""

    def has_bytes(self) -> bool:
        """Return whether bytes have come that no thread has read yet."""
        ...

    def give_up(self) -> None:
        """End the connection to a server that does not answer."""


def check_keep_alive(name: str, seconds: float | None) -> float | None:
    """Return a setting that has been checked.

    Raises:
        ValueError: the setting is neither None nor a positive number of seconds.
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
        timeout: seconds of silence after which the server is given up; None: never.
    """

    def __init__(self, interval: float | None, timeout: float | None) -> None:
        self._timeout = timeout
        # The server has to be asked well before it is given up.
        self._interval = min(interval, timeout / 2) if interval and timeout else interval
        self._asked_at = 0.0

    def check(self, server: WatchedServer) -> float | None:
        """Ping the server or give it up, if that is due.

        Only silence after a ping counts: this process may have been stopped, or busy, itself.

        Returns:
            After how many seconds to check again; None: never.
        """
        interval, heard_at = self._interval, server.heard_at
        if interval is None or server.error is not None:
            return None
        now = monotonic()
        if now < heard_at + interval:
            return heard_at + interval - now
        if self._asked_at <= heard_at:
            self._asked_at = now  # before the ping, which may take long
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
