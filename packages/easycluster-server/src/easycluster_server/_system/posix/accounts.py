"""Users of this machine, as the list of users has them."""

from __future__ import annotations

import os
import pwd
from typing import Optional


def find_comment(name: str) -> Optional[str]:
    """Return the comment of a user's entry, or None if there is no such user."""
    try:
        return pwd.getpwnam(name).pw_gecos
    except KeyError:
        return None


def find_number() -> int:
    """Return the number of the user whose process this is."""
    return os.getuid()


def is_owner(name: str, path: str) -> bool:
    """Return whether a user owns a file."""
    return os.stat(path).st_uid == pwd.getpwnam(name).pw_uid
