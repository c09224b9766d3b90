"""Users of this machine: nothing here needs to know them yet."""

from __future__ import annotations

from typing import Optional


def find_comment(_name: str) -> Optional[str]:
    """Return None: there is no comment by which a user could be known."""
    return None


def find_number() -> int:
    """Return 0: users have no numbers there."""
    return 0


def is_owner(_name: str, _path: str) -> bool:
    """Return False: files are protected by lists there, and not by their owner."""
    return False
