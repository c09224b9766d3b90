"""Reading several connections at once, in the calling thread.

While this thread waits it has the turn to read of no connection, so other threads, and signal handlers, may
wait for answers of their own. It waits for all descriptors, and for a gate that another thread opens when it
has read an answer or stops reading, see `_session.read_turn`. A connection that another thread is reading is
left to that thread.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection
from time import monotonic
from typing import NamedTuple

from easycluster_client._calls.owner import Calls
from easycluster_client._deadlines import seconds_until
from easycluster_client._session.session import ClientSession
from easycluster_server._system.masters import Wakeup, wait_for_any


class ReadSource(NamedTuple):
    """A connection that is read, and the maker that runs its completion functions.

    Attributes:
        session: the connection.
        calls: the maker of the calls of its client.
    """

    session: ClientSession
    calls: Calls


class ConnectionReader:
    """Reads several connections for a thread that waits for several answers."""

    def __init__(self) -> None:
        #: The connections that have been read at least once.
        self._started: set[ReadSource] = set()
        #: The connections that another thread was reading when this thread last tried.
        self._read_by_others: set[ReadSource] = set()
        #: When each of them is to be checked, on the clock of `time.monotonic`.
        self._check_at: dict[ClientSession, float] = {}

    def read(
        self, connections: Collection[ReadSource], is_done: Callable[[], bool], deadline: float | None
    ) -> bool:
        """Read until ``is_done()`` is true.

        Args:
            connections: the connections.
            is_done: returns whether to stop; only an answer or the end of a connection may make this true.
            deadline: when to give up, on the clock of `time.monotonic`; None: never.

        Returns:
            Whether ``is_done()`` became true in time. Each connection is read, even if there is no time at
            all.
        """
        # After this first time the kernel tells which connections have something to read.
        ready: Collection[ReadSource] = [each for each in connections if each not in self._started]
        while True:
            self._receive_from(ready)
            for each in connections:
                # All of them: an answer may have been read while something was sent.
                if each.session.arrived:
                    self._run_completions(each)
            if is_done():
                return True
            left = seconds_until(deadline)
            if left == 0:
                return False
            for each in connections:
                each.session.check_may_wait()
            ready = self._wait(connections, is_done, left)

    def _receive_from(self, connections: Collection[ReadSource]) -> None:
        for each in connections:
            self._started.add(each)
            if each.session.receive_available():
                self._read_by_others.discard(each)
            else:
                self._read_by_others.add(each)

    def _run_completions(self, connection: ReadSource) -> None:
        connection.calls.run_completions(connection.session)

    def _check_alive(self, connections: Collection[ReadSource], left: float | None) -> float | None:
        """Check the servers whose time has come; return for how many seconds to wait, of those left."""
        now = monotonic()
        for session in {each.session for each in connections}:
            delay = session.limit_wait(None)
            if delay is None:
                continue
            if session not in self._check_at:
                self._check_at[session] = now + delay
            elif now >= self._check_at[session]:
                delay = session.check_alive()
                if delay is None:  # it has ended
                    return 0.0
                self._check_at[session] = now + delay
            until = self._check_at[session] - now
            left = until if left is None else min(left, until)
        return left

    def _wait(
        self, connections: Collection[ReadSource], is_done: Callable[[], bool], left: float | None
    ) -> Collection[ReadSource]:
        """Wait until there is something to read; return the connections to receive from."""
        with contextlib.closing(_PollableGate()) as gate:
            try:
                watched: dict[int, ReadSource] = {}
                for each in connections:
                    turn_is_free = each.session.turn.listen(gate)
                    descriptor = each.session.transport.fileno()
                    if descriptor >= 0 and (turn_is_free or each not in self._read_by_others):
                        watched[descriptor] = each
                if is_done():  # another thread read the answer just before the gate was there
                    return ()
                events = wait_for_any((*watched, gate.fileno()), self._check_alive(connections, left))
            finally:
                for each in connections:
                    each.session.turn.forget(gate)
            if gate.fileno() in events:
                return connections
            return [watched[descriptor] for descriptor in events]


class _PollableGate(Wakeup):
    """A gate for which a thread can wait together with connections."""

    open = Wakeup.wake
