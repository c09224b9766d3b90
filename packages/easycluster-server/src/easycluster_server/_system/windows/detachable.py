"""Which processes can be spared at the end of a connection."""

from __future__ import annotations

from .process_handles import process_exists


def check_may_stay(pid: int) -> None:
    """Make sure that a process exists.

    Raises:
        ProcessLookupError: there is no such process.
    """
    if not process_exists(pid):
        raise ProcessLookupError(f"there is no process {pid}")
