"""Other processes, as Windows gives handles for them."""

from __future__ import annotations

import ctypes

_QUERY_LIMITED_INFORMATION = 0x1000
_STILL_ACTIVE = 259


def process_exists(pid: int) -> bool:
    """Return whether a process runs; ``os.kill(pid, 0)`` would send it Ctrl-C."""
    kernel = ctypes.windll.kernel32
    kernel.OpenProcess.restype = ctypes.c_void_p
    found = kernel.OpenProcess(_QUERY_LIMITED_INFORMATION, False, pid)
    if not found:
        return False
    handle = ctypes.c_void_p(found)
    status = ctypes.c_ulong()
    known = kernel.GetExitCodeProcess(handle, ctypes.byref(status))
    kernel.CloseHandle(handle)
    return bool(known) and status.value == _STILL_ACTIVE
