"""What C code prints."""

from __future__ import annotations

import ctypes
from typing import Any

_NO_BUFFER = 4  # _IONBF


def buffer_c_lines() -> None:
    """Let lines that C code prints leave this process at once: this C library cannot buffer lines."""
    library = _find_library()
    if library is not None:
        stdout = library.__acrt_iob_func
        stdout.restype = ctypes.c_void_p
        library.setvbuf(ctypes.c_void_p(stdout(1)), None, _NO_BUFFER, ctypes.c_size_t(0))


def flush_c_output() -> None:
    """Flush what C code printed."""
    library = _find_library()
    if library is not None:
        library.fflush(None)


def _find_library() -> Any:
    try:
        return ctypes.CDLL("ucrtbase")
    except OSError:
        return None
