"""The end of the interpreter while connections are open.

Connections end after the exit functions that a script registered once this module was imported: those may
still make calls. They end all at once. Only daemon threads are left then that could notice. Such a thread is
blocked for good: an error would only be printed, and CPython does the same at its very end.
"""

from __future__ import annotations

import atexit
import threading
import time
import weakref
from typing import Protocol

from easycluster_server._system.masters import wait_for_workers


class Finishable(Protocol):
    """An open connection, as far as its end is concerned."""

    def hang_up(self) -> None:
        """Let the other end notice the end of the connection."""

    def finish(self) -> None:
        """End the connection."""


_connections: weakref.WeakSet[Finishable] = weakref.WeakSet()

_is_ending = False

#: When the connections began to end, on the clock of `time.monotonic`.
_ending_since = float("inf")


def close_at_exit(connection: Finishable) -> None:
    """Call ``connection.finish()`` when the interpreter ends."""
    _connections.add(connection)


def block_at_exit() -> None:
    """Block the calling thread for good, if it has lost its connection because the interpreter ends."""
    if _is_ending and threading.get_ident() != threading.main_thread().ident:
        threading.Event().wait()


def deadline_of_end(seconds: float, since: float | None = None) -> float:
    """Return when the time is over that the end of a connection may take. Those that end with the interpreter
    end at the same time, so they have this time together.

    Args:
        seconds: the time.
        since: when this end began; None: now.
    """
    return min(time.monotonic() if since is None else since, _ending_since) + seconds


def _finish_all() -> None:
    global _is_ending, _ending_since
    _is_ending = True
    _ending_since = time.monotonic()
    connections = list(_connections)
    # All at once, and without threads: at the end of the interpreter there can be no new ones.
    for connection in connections:
        connection.hang_up()
    for connection in connections:
        connection.finish()
    wait_for_workers()


atexit.register(_finish_all)
