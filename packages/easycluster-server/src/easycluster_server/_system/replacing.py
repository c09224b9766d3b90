"""Putting other code in the place of this process."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if sys.platform == "win32":
    from .windows.replacing import replace_process, take_over_session
else:
    from .posix.replacing import replace_process, take_over_session

if TYPE_CHECKING:
    __all__ = ["replace_process", "take_over_session"]
