"""The worker's end of the pipe to its guardian, which cannot see everything by itself."""

from __future__ import annotations

# Not by `os.write`: remote code may put something else in its place.
from os import fstat, write
from typing import Optional, Tuple

#: How a session ends, see `report_end`.
CLOSED = "closed"
LOST = "lost"

#: In a worker: the writing end of the pipe to its guardian, with the device and the inode of the pipe.
_control: Optional[Tuple[int, int, int]] = None


def set_control(descriptor: int) -> None:
    """Set the descriptor to which `tell_guardian` writes; called once in each worker."""
    global _control
    _control = descriptor, *_identify(descriptor)


def _identify(descriptor: int) -> Tuple[int, int]:
    found = fstat(descriptor)
    return found.st_dev, found.st_ino


def tell_guardian(line: str) -> None:
    """Write a line to the guardian.

    Raises:
        RuntimeError: this process has no guardian.
        OSError: the guardian is gone, or user code has closed the pipe; its number may be that of a file now.
    """
    if _control is None:
        raise RuntimeError
    if _identify(_control[0]) != _control[1:]:
        raise OSError("remote code has closed the pipe to the guardian")
    write(_control[0], line.encode() + b"\n")


def report_end(outcome: str) -> None:
    """Tell the guardian how the connection ended: `CLOSED` or `LOST`."""
    try:
        tell_guardian(outcome)
    except (OSError, RuntimeError):
        pass
