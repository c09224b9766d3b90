"""How full a pipe is: writing to one that is full would wait for its reader."""

from __future__ import annotations

import ctypes
import msvcrt

_FILE_TYPE_PIPE = 3
_PIPE_LOCAL_INFORMATION = 24
#: Of the numbers of that information, which says how many bytes can be written.
_WRITE_QUOTA = 7


def has_room_in_pipe(descriptor: int, size: int) -> bool:
    """Return whether so many bytes can be written without waiting.

    Where the system does not tell, as for files and consoles, there is room.
    """
    try:
        handle = ctypes.c_void_p(msvcrt.get_osfhandle(descriptor))
    except OSError:  # there is nothing, and writing fails at once
        return True
    if ctypes.windll.kernel32.GetFileType(handle) != _FILE_TYPE_PIPE:
        return True
    status = (ctypes.c_void_p * 2)()
    numbers = (ctypes.c_ulong * 10)()
    failed: int = ctypes.windll.ntdll.NtQueryInformationFile(
        handle, ctypes.byref(status), ctypes.byref(numbers), ctypes.sizeof(numbers), _PIPE_LOCAL_INFORMATION
    )
    quota: int = numbers[_WRITE_QUOTA]
    return failed != 0 or quota >= size
