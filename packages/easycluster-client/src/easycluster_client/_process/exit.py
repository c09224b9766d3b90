"""The end of the interpreter, with connections open.

They end after the script's own exit functions, which may still make calls, if those were registered after
this was imported. Then only daemon threads are left that could notice. Such a thread gets no error any more,
which would be printed: as at the very end of Python, it does not go on.
"""

from __future__ import annotations

import atexit
import threading
import weakref
from typing import Protocol


class Finishable(Protocol):
    """An open connection, as far as its end is concerned."""

    def finish(self) -> None:
        """End it."""


_open: weakref.WeakSet[Finishable] = weakref.WeakSet()

_begun = False


def close_at_exit(connected: Finishable) -> None:
    """Call ``connected.finish()`` when the interpreter ends."""
    _open.add(connected)


def block_at_exit() -> None:
    """Keep a thread that has lost its connection from going on, if that is because the interpreter ends."""
    if _begun and threading.get_ident() != threading.main_thread().ident:
        threading.Event().wait()


def _finish_all() -> None:
    global _begun
    _begun = True
    for connected in list(_open):
        connected.finish()


atexit.register(_finish_all)
