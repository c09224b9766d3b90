"""Importing our own modules when a session first needs them."""

from __future__ import annotations

import _thread
import sys
from _imp import release_lock
from typing import TYPE_CHECKING, Dict, List

from easycluster_server._io.interrupts import Gate

if TYPE_CHECKING:
    from types import ModuleType

#: The modules that have been imported completely.
_loaded: Dict[str, ModuleType] = {}


def free_import_lock() -> None:
    """Give back Python's import lock if the calling thread has it; call it where that thread imports nothing.

    A signal handler that raises in the middle of an import by user code may leave the lock taken. The thread
    that has it goes on importing and notices nothing; every other thread that imports waits for ever.
    """
    try:
        while True:
            release_lock()
    except RuntimeError:  # it has it no more, or another thread has it
        pass


def load(name: str) -> ModuleType:
    """Import a module in another thread, and wait for that.

    Signal handlers run in the main thread only. One that raises in the middle of an import there may leave
    Python's import lock taken, and handlers that raise faster than a module can be imported would keep it
    from ever being imported. So only the waiting is interrupted, and whoever loads the module next finds more
    done.

    Args:
        name: its full name.

    Returns:
        The module.
    """
    if name in _loaded:
        return _loaded[name]
    free_import_lock()
    errors: List[BaseException] = []
    imported = Gate()
    try:
        _thread.start_new_thread(_import, (name, errors, imported))
    except RuntimeError:  # the system has no more threads
        __import__(name)
    else:
        imported.wait()
    if errors:
        raise errors[0]
    _loaded[name] = sys.modules[name]
    return _loaded[name]


def load_server_objects() -> ModuleType:
    """Return `_objects`, all that server objects take."""
    return load("easycluster_server._objects")


def _import(name: str, errors: List[BaseException], imported: Gate) -> None:
    try:
        __import__(name)
    except BaseException as error:
        errors.append(error)
    finally:
        imported.open()
