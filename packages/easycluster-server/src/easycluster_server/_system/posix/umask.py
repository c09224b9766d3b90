"""The umask of this process."""

from __future__ import annotations

import subprocess
from typing import Optional


def read_umask() -> Optional[int]:
    """Return the umask, or None. ``os.umask`` would change it for a moment, for all threads."""
    try:
        with open("/proc/self/status") as file:
            for line in file:
                if line.startswith("Umask:"):
                    return int(line.split()[1], 8)
    except OSError:
        pass
    try:  # a shell inherits it
        return int(subprocess.check_output(["/bin/sh", "-c", "umask"]), 8)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
