"""Functions of this process's C library.

The compiled half of `ctypes` calls them: the other half takes 2 ms to import, for each connection.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Optional

if TYPE_CHECKING:
    import signal
else:
    import _signal as signal  # the other half takes 3 ms to import, and is not needed

try:
    from _ctypes import _SimpleCData, call_cdeclfunction, dlopen, dlsym
except ImportError:  # PyPy, or a Python of an embedded system

    def _call(name: str, arguments: Any) -> Any:
        import ctypes

        return getattr(ctypes.CDLL(None), name)(*arguments)

    def _pointer(name: str) -> Any:
        import ctypes

        return ctypes.c_void_p.in_dll(ctypes.CDLL(None), name)

else:
    _PROCESS: Any = None  # all libraries that this process has loaded

    class _Pointer(_SimpleCData):  # type: ignore[type-arg]
        _type_ = "P"

    def _call(name: str, arguments: Any) -> Any:
        return call_cdeclfunction(dlsym(dlopen(_PROCESS, 0), name), arguments)

    def _pointer(name: str) -> Any:
        return _Pointer.from_address(dlsym(dlopen(_PROCESS, 0), name))


_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36

#: Raised where a function or variable is missing: with another C library, or without `ctypes`.
_MISSING = (ImportError, OSError, AttributeError, ValueError)


def call(name: str, *arguments: Any) -> Optional[int]:
    """Call a function of the C library; return its result, or None where the function is missing.

    Args:
        name: the function's name; its result must be an int.
        arguments: ints that fit a C int, or None for a null pointer.
    """
    try:
        result: int = _call(name, arguments)
    except _MISSING:
        return None
    return result


def call_with_variable(name: str, variable: str) -> Optional[int]:
    """As `call`, but the one argument is a variable of the C library, a pointer."""
    try:
        return call(name, _pointer(variable))
    except _MISSING:
        return None


def buffer_c_lines() -> None:
    """Let lines that C code prints leave this process one by one."""
    call_with_variable("setlinebuf", "stdout")


def flush_c_output() -> None:
    """Flush what C code printed."""
    call("fflush", None)


def become_subreaper() -> bool:
    """Let orphaned descendants become children of this process; return False where that is impossible."""
    return call("prctl", _PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0


def die_with_parent(parent: int, number: int = signal.SIGKILL) -> None:
    """Let the kernel send a signal to this process when its parent ends, if the kernel can."""
    if call("prctl", _PR_SET_PDEATHSIG, number, 0, 0, 0) == 0 and os.getppid() != parent:
        os._exit(1)  # the parent ended before we asked
