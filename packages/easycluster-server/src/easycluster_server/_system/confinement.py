"""What a connection's process may do: as which user it runs, with how much memory, and how urgently."""

from __future__ import annotations

import sys

if sys.platform == "win32":
    from .windows.confinement import Confinement, is_all_powerful, reload_signals
else:
    from .posix.confinement import Confinement, is_all_powerful, reload_signals

__all__ = ["Confinement", "is_all_powerful", "reload_signals"]
