"""After ``os.fork`` in the master: the connections stay the parent's.

The child closes its copies of the descriptors, without sending anything and without touching the options of
the sockets, so nothing that it does or leaves open concerns the parent. In the child, using a client that
the parent connected raises an error that says so.
"""

from __future__ import annotations

import weakref
from typing import Protocol

from easycluster_server._system import call_at_fork


class Abandonable(Protocol):
    """A session, as far as forks are concerned."""

    def abandon(self) -> None:
        """Give up the connection in a process that was forked from the one that it belongs to."""


_sessions: weakref.WeakSet[Abandonable] = weakref.WeakSet()


def abandon_after_fork(session: Abandonable) -> None:
    """Call ``session.abandon()`` in every process that is forked from this one."""
    _sessions.add(session)


def _after_fork_in_child() -> None:
    for session in list(_sessions):
        session.abandon()
    _sessions.clear()


call_at_fork(_after_fork_in_child)
