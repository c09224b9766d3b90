"""The processes of a server behind a pipe."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if sys.platform == "win32":
    from .windows.stdio import run_guardian_and_worker, take_over
else:
    from .posix.processes import run_guardian_and_worker, take_over

if TYPE_CHECKING:
    __all__ = [
        "run_guardian_and_worker",
        "take_over",
    ]
