"""Users of this machine."""

from __future__ import annotations

import sys

if sys.platform == "win32":
    from .windows.accounts import find_comment, find_number, is_owner
else:
    from .posix.accounts import find_comment, find_number, is_owner

__all__ = ["find_comment", "find_number", "is_owner"]
