"""The most memory that this process has had, on Linux."""

from __future__ import annotations

import gc


def reset_peak() -> int:
    """Forget the most memory that this process has had; return what it has now."""
    gc.collect()
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")
    return peak()


def peak() -> int:
    """Return the most memory that this process has had since it was forgotten."""
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM:"))
