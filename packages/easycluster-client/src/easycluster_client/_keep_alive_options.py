"""When a silent server is asked for a sign of life, and when it is given up: the options ``keep_alive_*``."""

from __future__ import annotations

from typing import NamedTuple


class KeepAliveOptions(NamedTuple):
    """The two options, checked by `check_keep_alive`; for the fields see the arguments of `Client`."""

    interval: float | None = 10.0
    timeout: float | None = 60.0

    @property
    def limit(self) -> float | None:
        """Seconds of silence after which the connection may be given up; None: never."""
        return None if self.interval is None else self.timeout


def check_keep_alive(interval: float | None, timeout: float | None) -> KeepAliveOptions:
    """Return the options, checked.

    Raises:
        ValueError: one of them is neither None nor a positive number of seconds.
    """
    return KeepAliveOptions(
        check_seconds("keep_alive_interval", interval), check_seconds("keep_alive_timeout", timeout)
    )


def check_seconds(name: str, seconds: float | None) -> float | None:
    """Return one option, checked.

    Raises:
        ValueError: it is neither None nor a positive number of seconds.
    """
    if seconds is None:
        return None
    if not isinstance(seconds, (int, float)) or not seconds > 0:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ValueError(f"{name} must be a positive number of seconds or None, not {seconds!r}")
    return float(seconds)
