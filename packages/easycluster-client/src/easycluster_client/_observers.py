"""Observers of the process on the host: they see it from outside, also when it cannot speak for itself."""

from __future__ import annotations

from typing import NamedTuple

#: What observers say of a process: it runs, whatever it does; or it is stopped.
RUNNING = "running"
STOPPED = "stopped"


class Observation(NamedTuple):
    """What an observer has said of the process.

    Attributes:
        state: `RUNNING` or `STOPPED`.
        at: when it was so, on the clock of `time.monotonic`.
        seen: what was seen, for people.
    """

    state: str
    at: float
    seen: str


class Verdict(NamedTuple):
    """Why a connection is given up.

    Attributes:
        reason: ``"frozen"`` or ``"lost"``, as `ConnectionLost.reason`.
        seen: what was seen, for people.
    """

    reason: str
    seen: str


class Observer:
    """Sees the process on the host from outside. This one sees nothing, and never gives a connection up: the
    process may be busy.

    Attributes:
        needs_pings: whether it sees only what lies in the link unread, so that there has to be something.
    """

    needs_pings = False

    def ask(self) -> None:
        """Begin to ask how the process is; never waits."""

    def find_observation(self) -> Observation | None:
        """Return the latest observation, or None: there is none yet; never waits."""
        return None

    def judge_silence(self, unacknowledged: int | None) -> Verdict | None:
        """Return the verdict on a process from which, and of which, nothing was heard for the whole timeout.

        Args:
            unacknowledged: bytes of ours that the peer's system has not acknowledged; None: it is not known.

        Returns:
            None: it may be busy, or the link slow.
        """
        return None


class SocketObserver(Observer):
    """Sees only whether the peer's system acknowledges what it is sent, of a socket that leads to a peer of
    which nothing more is known.

    Args:
        acknowledges: whether the peer is another system, as over TCP. Otherwise its silence is enough.
    """

    def __init__(self, acknowledges: bool) -> None:
        self._acknowledges = acknowledges

    def judge_silence(self, unacknowledged: int | None) -> Verdict | None:
        if not self._acknowledges:
            return Verdict("frozen", "it neither answers nor reads")
        if unacknowledged:
            return Verdict("lost", f"its host does not acknowledge {unacknowledged} bytes")
        return None
