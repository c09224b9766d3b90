"""Going on in the background, which is a service there, and locking files."""

from __future__ import annotations

import errno
import msvcrt
from typing import Callable, Optional


def go_to_background() -> Callable[[Optional[BaseException]], None]:
    """Refuse: a process cannot be divided.

    Raises:
        OSError: always.
    """
    raise OSError(
        errno.ENOSYS,
        "-d (daemonize) is not possible on Windows, which has no processes of the background; install a"
        " service: easycluster --install --start",
    )


def lock_file(descriptor: int) -> None:
    """Lock an open file for as long as it stays open.

    Raises:
        BlockingIOError: another process has locked it.
    """
    try:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    except OSError as error:
        raise BlockingIOError(errno.EAGAIN, "locked") from error


def send_datagram(_address: str, _data: bytes) -> None:
    """Do nothing: no service manager there wants to be told so."""
