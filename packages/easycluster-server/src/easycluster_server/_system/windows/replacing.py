"""Nothing takes the place of a process on Windows, so servers there refuse clients of another version."""

from __future__ import annotations

import socket
from typing import Callable, NoReturn, Tuple


def replace_process(
    line: str,  # noqa: ARG001 -- as in the other half
    bundle: bytes,  # noqa: ARG001
    session: bytes,  # noqa: ARG001
    connection: int,  # noqa: ARG001
) -> NoReturn:
    """Raise `OSError`."""
    raise OSError("on Windows no process can take the place of another")


def take_over_session() -> Tuple[socket.socket, int, Callable[[str], object]]:
    """Raise `OSError`: no server on Windows starts a process for this."""
    raise OSError("on Windows no process can take the place of another")
