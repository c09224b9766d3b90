"""The limit on open sockets: Windows has none that a process can raise."""

from __future__ import annotations

import errno
from typing import Optional

_TOO_MANY_SOCKETS = 10024  # WSAEMFILE


def make_room(connections: int = 1) -> None:
    """Do nothing: there is room for as many as there is memory for."""


def get_limit() -> int:
    """Return a number of sockets that no process has."""
    return 1 << 30


def is_out_of_descriptors(error: Optional[BaseException]) -> bool:
    """Return whether an error, or one of its causes, says that this process may open nothing more."""
    while error is not None:
        if isinstance(error, OSError) and (
            error.errno == errno.EMFILE or error.winerror == _TOO_MANY_SOCKETS
        ):
            return True
        error = error.__cause__
    return False
