"""Other processes: whether they run, which descends from which, and how to end them."""

from __future__ import annotations

import ctypes
from ctypes import wintypes
from typing import Collection, Dict, Iterable, Set

from .kernel import kernel32

_TERMINATE = 0x0001
_QUERY_LIMITED_INFORMATION = 0x1000
_STILL_ACTIVE = 259
_SNAPSHOT_OF_PROCESSES = 2


class _Entry(ctypes.Structure):
    """PROCESSENTRY32W."""

    _fields_ = [
        ("dwSize", wintypes.DWORD),
        ("cntUsage", wintypes.DWORD),
        ("th32ProcessID", wintypes.DWORD),
        ("th32DefaultHeapID", ctypes.c_size_t),
        ("th32ModuleID", wintypes.DWORD),
        ("cntThreads", wintypes.DWORD),
        ("th32ParentProcessID", wintypes.DWORD),
        ("pcPriClassBase", wintypes.LONG),
        ("dwFlags", wintypes.DWORD),
        ("szExeFile", wintypes.WCHAR * 260),
    ]


def process_exists(pid: int) -> bool:
    """Return whether a process runs; ``os.kill(pid, 0)`` would send it Ctrl-C."""
    handle = kernel32.OpenProcess(_QUERY_LIMITED_INFORMATION, False, pid)
    if not handle:
        return False
    status = wintypes.DWORD()
    known = kernel32.GetExitCodeProcess(handle, ctypes.byref(status))
    kernel32.CloseHandle(handle)
    return bool(known) and status.value == _STILL_ACTIVE


def end_processes(pids: Iterable[int]) -> None:
    """End processes at once; those that have ended, or that this user may not end, are left out."""
    for pid in pids:
        handle = kernel32.OpenProcess(_TERMINATE, False, pid)
        if handle:
            kernel32.TerminateProcess(handle, 1)
            kernel32.CloseHandle(handle)


def with_descendants(roots: Collection[int]) -> Set[int]:
    """Return processes and all that descend from them."""
    parents = _read_parents()
    found = set(roots)
    size = -1
    while len(found) != size:
        size = len(found)
        found.update(pid for pid, parent in parents.items() if parent in found)
    return found


def _read_parents() -> Dict[int, int]:
    """Return the parent of each process."""
    snapshot = kernel32.CreateToolhelp32Snapshot(_SNAPSHOT_OF_PROCESSES, 0)
    entry = _Entry(dwSize=ctypes.sizeof(_Entry))
    parents: Dict[int, int] = {}
    more = kernel32.Process32FirstW(snapshot, ctypes.byref(entry))
    while more:
        parents[entry.th32ProcessID] = entry.th32ParentProcessID
        more = kernel32.Process32NextW(snapshot, ctypes.byref(entry))
    kernel32.CloseHandle(snapshot)
    return parents
