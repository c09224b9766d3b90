"""Reading several connections at once, in the calling thread.

While it waits it leads none of them, so that other threads, and signal handlers, may wait for
answers of their own. It waits for all descriptors, and for a gate that another thread which reads
opens when it has read an answer or ceases to read, see `_session.read_turn`. A connection that another thread
reads at present is left to it.
"""

from __future__ import annotations

import contextlib
import select
import socket
from collections.abc import Callable, Collection
from typing import NamedTuple

from easycluster_client._calls.owner import Calls
from easycluster_client._deadlines import seconds_until
from easycluster_client._session.session import ClientSession


class ReadSource(NamedTuple):
    """One that is read.

    Attributes:
        session: the connection.
        calls: the calls of its client.
    """

    session: ClientSession
    calls: Calls


class ConnectionReader:
    """Reads some connections for as long as somebody waits for several answers."""

    def __init__(self) -> None:
        self._seen: set[ReadSource] = set()
        #: Those that another thread was reading when it was last looked.
        self._left: set[ReadSource] = set()

    def read(
        self, connections: Collection[ReadSource], happened: Callable[[], bool], deadline: float | None
    ) -> bool:
        """Read until something has happened.

        Args:
            connections: which to read.
            happened: what the reading is for; it must become true by an answer or by the end of a
                connection.
            deadline: when to give up, on the clock of `time.monotonic`; None: never.

        Returns:
            Whether it happened in time. Each connection is looked at, even if there is no time at all.
        """
        # Later the kernel says which of them has something.
        ready: Collection[ReadSource] = [each for each in connections if each not in self._seen]
        while True:
            self._look_at(ready)
            for each in connections:
                # Perhaps of an answer that was read while something was sent.
                if each.session.arrived:
                    self._complete(each)
            if happened():
                return True
            left = seconds_until(deadline)
            if left == 0:
                return False
            for each in connections:
                each.session.check_may_wait()
            ready = self._wait(connections, happened, left)

    def _look_at(self, connections: Collection[ReadSource]) -> None:
        for each in connections:
            self._seen.add(each)
            if each.session.receive_available():
                self._left.discard(each)
            else:
                self._left.add(each)

    def _complete(self, connection: ReadSource) -> None:
        connection.calls.run_completions(connection.session)

    def _wait(
        self, connections: Collection[ReadSource], happened: Callable[[], bool], left: float | None
    ) -> Collection[ReadSource]:
        """Return those at which to look."""
        with contextlib.closing(_Gate()) as gate:
            try:
                watched: dict[int, ReadSource] = {}
                for each in connections:
                    nobody_leads = each.session.turn.listen(gate)
                    descriptor = each.session.transport.fileno()
                    if descriptor >= 0 and (nobody_leads or each not in self._left):
                        watched[descriptor] = each
                if happened():  # another thread read it just before the gate was there
                    return ()
                events = _poll((*watched, gate.fileno()), left)
            finally:
                for each in connections:
                    each.session.turn.forget(gate)
            if gate.fileno() in events:
                return connections
            return [watched[descriptor] for descriptor in events]


def _poll(descriptors: Collection[int], left: float | None) -> list[int]:
    """Return the descriptors that can be read, or have failed."""
    poll = select.poll()
    for descriptor in descriptors:
        poll.register(descriptor, select.POLLIN)
    return [descriptor for descriptor, _ in poll.poll(None if left is None else left * 1000)]


class _Gate:
    """A gate that can be waited for together with descriptors."""

    def __init__(self) -> None:
        self._inside, self._outside = socket.socketpair()
        self._outside.setblocking(False)

    def close(self) -> None:
        """Close the descriptors."""
        self._inside.close()
        self._outside.close()

    def fileno(self) -> int:
        """Return the descriptor that can be read when the gate is open."""
        return self._inside.fileno()

    def open(self) -> None:
        """Open the gate."""
        try:
            self._outside.send(b"x")
        except OSError:  # it has been opened many times, or nobody waits any more
            pass
