"""The end of the interpreter while connections are open.

Connections end after the exit functions that a script registered once this module was imported: those may
still make calls. Only daemon threads are left then that could notice. Such a thread is blocked for good: an
error would only be printed, and CPython does the same at its very end.
"""

from __future__ import annotations

import atexit
import threading
import weakref
from typing import Protocol


class Finishable(Protocol):
    """An open connection, as far as its end is concerned."""

    def finish(self) -> None:
        """End the connection."""


_connections: weakref.WeakSet[Finishable] = weakref.WeakSet()

_is_ending = False


def close_at_exit(connection: Finishable) -> None:
    """Call ``connection.finish()`` when the interpreter ends."""
    _connections.add(connection)


def block_at_exit() -> None:
    """Block the calling thread for good, if it has lost its connection because the interpreter ends."""
    if _is_ending and threading.get_ident() != threading.main_thread().ident:
        threading.Event().wait()


def _finish_all() -> None:
    global _is_ending
    _is_ending = True
    for connection in list(_connections):
        connection.finish()


atexit.register(_finish_all)
