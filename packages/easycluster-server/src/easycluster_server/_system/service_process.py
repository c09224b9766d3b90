"""This process as a service of Windows."""

from __future__ import annotations

import sys

if sys.platform == "win32":
    from .windows.service_process import ServiceProcess
else:
    from .posix.service_process import ServiceProcess

__all__ = ["ServiceProcess"]
