"""Liveness of the server: whether a silent one is busy, slow, frozen or lost.

After some silence the server is asked by a PING, and an observer is asked about it. These are signs of life:

- bytes that come;
- bytes of ours that leave, out of a queue that was there at the last look: the link is *slow*;
- an observer that says that the process runs, though it does not speak: it is *busy*, and may hold the lock
  of its interpreter for minutes.

When the last of them is older than the timeout, the connection is given up: as *frozen* where an observer
has seen that, or is silent itself while the host's system acknowledges what it gets; else as *lost*. Where
nobody can tell busy from frozen, it is kept.

A sign of life is as old as the look that has found it, so a process that freezes is given up no later than
the timeout after that. Nothing here costs anything while answers come.
"""

from __future__ import annotations

from time import monotonic
from typing import NamedTuple, Protocol

from easycluster_client._keep_alive_options import KeepAliveOptions
from easycluster_client._observers import RUNNING, STOPPED, Observer, Verdict
from easycluster_protocol.errors import ConnectionLost

#: Seconds until the next check when bytes have come that no thread has read yet.
_UNREAD_INTERVAL = 0.05


class Queue(NamedTuple):
    """What was still to be sent, at one moment.

    Attributes:
        unacknowledged: bytes that the peer's system has not acknowledged yet; None: it is not known.
        is_waiting: whether a message waits for room in the system.
        sent: the sizes of the pieces that the system has taken of the latest frames, a list for each group.
        pieces: how many they are.
    """

    unacknowledged: int | None
    is_waiting: bool
    sent: list[int]
    pieces: int

    def has_moved(self, before: Queue) -> bool:
        """Return whether any of what was still to be sent before has left since."""
        if before.is_waiting and (self.sent is not before.sent or self.pieces != before.pieces):
            return True
        now, earlier = self.unacknowledged, before.unacknowledged
        return now is not None and earlier is not None and now < earlier


class WatchedServer(Protocol):
    """The connection to a server, as far as its liveness is concerned.

    Attributes:
        heard_at: when the server last sent something, on the clock of `time.monotonic`.
        observer: sees the process on the host from outside.
    """

    heard_at: float
    observer: Observer

    @property
    def error(self) -> ConnectionLost | None:
        """Why the connection ended, or None while it is open."""
        ...

    def ping(self) -> None:
        """Ask the server for a sign of life."""

    def has_bytes(self) -> bool:
        """Return whether bytes have come that no thread has read yet."""
        ...

    def find_queue(self) -> Queue:
        """Return what is still to be sent."""
        ...

    def is_peer_full(self) -> bool:
        """Return whether the host acknowledges what it gets, and its process reads nothing."""
        ...

    def give_up(self, verdict: Verdict) -> None:
        """End the connection to a server that does not answer."""


class KeepAlive:
    """The liveness of one connection; the threads that wait for its answers check it, for all.

    Args:
        options: after how many seconds of silence the server is asked for a sign of life, and after how many
            it is given up.

    Attributes:
        interval: after how many seconds of silence to check; None: never.
    """

    def __init__(self, options: KeepAliveOptions) -> None:
        interval, self._timeout = options
        # The server has to be asked well before it is given up.
        self.interval = min(interval, self._timeout / 2) if interval and self._timeout else interval
        self._asked_at = 0.0
        #: When the observer has seen the process run, and when bytes of ours have left a queue.
        self._seen_at = self._moved_at = 0.0
        self._look_at = 0.0
        self._queue: Queue | None = None

    def check(self, server: WatchedServer) -> float | None:
        """Ask a silent server for a sign of life, look closer at it, or give it up, if that is due.

        Only silence after a ping counts: this process may have been stopped, or busy, itself.

        Returns:
            After how many seconds to check again; None: never.
        """
        interval, heard_at = self.interval, server.heard_at
        if interval is None or server.error is not None:
            return None
        now = monotonic()
        if now < heard_at + interval:
            return heard_at + interval - now
        if self._asked_at <= heard_at:
            self._ask(server, now)
        if self._timeout is None:
            return interval
        if now >= self._look_at:
            self._look_closer(server, now)
        end = max(self._find_last_sign(server), self._asked_at - interval) + self._timeout
        return self._finish(server, now) if now >= end else min(self._look_at, end) - now

    def _find_last_sign(self, server: WatchedServer) -> float:
        """Return when there was the last sign of life, on the clock of `time.monotonic`."""
        observation = server.observer.find_observation()
        if observation is not None:
            if observation.state == RUNNING:
                self._seen_at = max(self._seen_at, observation.at)
            elif observation.at > self._seen_at:
                # Bytes that leave for a process which is stopped only fill buffers.
                return max(server.heard_at, self._seen_at)
        return max(server.heard_at, self._seen_at, self._moved_at)

    def _finish(self, server: WatchedServer, now: float) -> float | None:
        """Give the server up, unless it has answered, or may be busy."""
        if server.has_bytes():
            return _UNREAD_INTERVAL
        verdict = self._judge(server)
        if verdict is None:
            return self._look_at - now
        server.give_up(verdict)
        return None

    def _ask(self, server: WatchedServer, now: float) -> None:
        before, self._asked_at = self._asked_at, now  # before the ping, which may take long
        try:
            self._queue = None
            if self._timeout is not None:
                self._look_closer(server, now)  # before the ping, which is in the queue then
            server.ping()
        except BaseException:  # an interrupt: perhaps the ping has not been left to be sent
            self._asked_at = before
            raise

    def _look_closer(self, server: WatchedServer, now: float) -> None:
        assert self.interval is not None
        queue, before = server.find_queue(), self._queue
        if before is not None and queue.has_moved(before):
            self._moved_at = now
        self._queue = queue
        self._look_at = now + self.interval
        server.observer.ask()
        # The process may have read the last one, and have become busy before it could answer.
        if server.observer.needs_pings and before is not None:
            server.ping()

    def _judge(self, server: WatchedServer) -> Verdict | None:
        observation = server.observer.find_observation()
        if observation is not None and observation.state == STOPPED and observation.at >= self._asked_at:
            return Verdict("frozen", observation.seen)
        # A host that has no room for more acknowledges the questions whether it has.
        unacknowledged = 0 if server.is_peer_full() else server.find_queue().unacknowledged
        return server.observer.judge_silence(unacknowledged)
