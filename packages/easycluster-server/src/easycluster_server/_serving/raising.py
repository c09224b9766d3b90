"""Raising an exception in another thread of this process."""

from __future__ import annotations

import ctypes
import sys
from typing import Any, Callable, Type

# Called with the interpreter's lock, which most functions of C libraries do without. Before Python 3.7 the
# identities of threads were signed.
_prototype: Any = ctypes.PYFUNCTYPE(
    ctypes.c_int, ctypes.c_ulong if sys.version_info >= (3, 7) else ctypes.c_long, ctypes.py_object
)


def _find() -> Callable[[int, Any], int]:
    try:
        found: Callable[[int, Any], int] = _prototype(("PyThreadState_SetAsyncExc", ctypes.pythonapi))
    except (AttributeError, ValueError):  # PyPy has no such function
        return lambda thread, exception: 0
    return found


_set_exception = _find()


def raise_in_thread(thread: int, exception: Type[BaseException]) -> None:
    """Let an exception be raised in a thread as soon as it runs Python code."""
    _set_exception(thread, exception)
