"""What there is in a pipe: reading and writing would wait for the other end."""

from __future__ import annotations

import ctypes
import msvcrt
from ctypes import wintypes
from typing import Any

from .kernel import kernel32

_FILE_TYPE_PIPE = 3
_PIPE_LOCAL_INFORMATION = 24
#: Of the numbers of that information, the one that says how many bytes can be written.
_WRITE_QUOTA = 7

_ntdll: Any = ctypes.WinDLL("ntdll")
_ntdll.NtQueryInformationFile.argtypes = [
    wintypes.HANDLE,
    wintypes.LPVOID,
    wintypes.LPVOID,
    wintypes.ULONG,
    ctypes.c_int,
]


def has_room_in_pipe(descriptor: int, size: int) -> bool:
    """Return whether so many bytes can be written without waiting.

    Where the system does not tell, as for files and consoles, there is room.
    """
    try:
        handle = msvcrt.get_osfhandle(descriptor)
    except OSError:  # there is nothing, and writing fails at once
        return True
    if kernel32.GetFileType(handle) != _FILE_TYPE_PIPE:
        return True
    status = (ctypes.c_void_p * 2)()
    numbers = (wintypes.ULONG * 10)()
    failed: int = _ntdll.NtQueryInformationFile(
        handle, ctypes.byref(status), ctypes.byref(numbers), ctypes.sizeof(numbers), _PIPE_LOCAL_INFORMATION
    )
    return failed != 0 or numbers[_WRITE_QUOTA] >= size


def has_data(descriptor: int) -> bool:
    """Return whether a pipe can be read without waiting."""
    available = wintypes.DWORD()
    handle = msvcrt.get_osfhandle(descriptor)
    is_open = kernel32.PeekNamedPipe(handle, None, 0, None, ctypes.byref(available), None)
    return not is_open or available.value > 0
