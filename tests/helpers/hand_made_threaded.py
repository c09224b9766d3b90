"""A server that the test plays by hand, beside the session of a `ThreadedClient`; and watches that the test holds."""

from __future__ import annotations

import threading
from functools import partial
from queue import SimpleQueue

import pytest

from easycluster_client._keep_alive_options import KeepAliveOptions
from easycluster_client._session.background import EndedThreads, start_background
from easycluster_client._session.keep_alive import KeepAlive, WatchedServer
from easycluster_client._session.threaded_session import ThreadedSession
from easycluster_client._session.watch import NoWatch
from helpers.checkpoints import Struck
from helpers.hand_made import HandMadeServer
from helpers.waiting import PATIENCE


class NotedWatch(NoWatch):
    """A watch without descriptors.

    Attributes:
        events: what was done to it, in order.
        trouble: what is raised when something is done to it, by the name of that.
    """

    def __init__(self) -> None:
        super().__init__()
        self.events: list[str] = []
        self.trouble: dict[str, BaseException] = {}
        self.arm = partial(self._note, "arm")
        self.disarm = partial(self._note, "disarm")
        self.rouse = partial(self._note, "rouse")

    def _note(self, name: str) -> None:
        self.events.append(name)
        if name in self.trouble:
            raise self.trouble[name]

    def wake(self, _: object = None) -> None:
        """End `wait`."""
        self._note("wake")

    def take_events(self) -> list[str]:
        """Return what was done to it since the last time."""
        events, self.events[:] = list(self.events), []
        return events


class StepWatch(NotedWatch):
    """A watch on which a thread sleeps until the test lets it do one more step."""

    def __init__(self) -> None:
        super().__init__()
        self._timeouts: SimpleQueue[float | None] = SimpleQueue()
        self._reports: SimpleQueue[bool] = SimpleQueue()

    def wait(self, timeout: float | None) -> bool:
        """Sleep; the test says whether something is reported."""
        self._timeouts.put(timeout)
        return self._reports.get(timeout=PATIENCE)

    def asleep(self) -> float | None:
        """Wait until the thread sleeps; return for how long it wants to."""
        return self._timeouts.get(timeout=PATIENCE)

    def wake_up(self, *, reported: bool = False) -> None:
        """Let the thread go on."""
        self._reports.put(reported)


class SilentKeepAlive(KeepAlive):
    """Never asks for anything.

    Attributes:
        checks: how often it was to be checked.
        answer: after how many seconds it says to check again.
    """

    def __init__(self) -> None:
        super().__init__(KeepAliveOptions(None, None))
        self.checks = 0
        self.answer: float | None = None

    def check(self, server: WatchedServer) -> float | None:
        """Note the check."""
        self.checks += 1
        return self.answer


class ThreadedHandMadeServer(HandMadeServer):
    """The other end of a session that is read also while no caller waits.

    Attributes:
        watch: the watch of the session.
        keep_alive: checks whether this server is there.
    """

    session: ThreadedSession

    def __init__(self, watch: NotedWatch) -> None:
        super().__init__(ThreadedSession)
        self.keep_alive = SilentKeepAlive()
        self.session.keep_alive = self.keep_alive
        self.session.watch.close()
        self.session.watch = self.watch = watch


class Background:
    """A background thread that does one step after the other, as the test tells it.

    Args:
        server: the other end of its session.
        watch: the watch of the session.

    Attributes:
        ended: takes the numbers of server threads that are to end.
        thread: the thread.
    """

    def __init__(self, server: ThreadedHandMadeServer, watch: StepWatch) -> None:
        self.ended = EndedThreads()
        self._watch = watch
        before = set(threading.enumerate())
        start_background(server.session, self.ended)
        (self.thread,) = set(threading.enumerate()) - before
        self.first_timeout = watch.asleep()

    def step(self, *, reported: bool = False) -> float | None:
        """Let the thread do everything that is due; return for how long it sleeps then."""
        self._watch.wake_up(reported=reported)
        return self._watch.asleep()

    def last_step(self, *, reported: bool = False) -> None:
        """Let the thread do its last step, and end."""
        self._watch.wake_up(reported=reported)
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive()


def leave_half_done(server: ThreadedHandMadeServer) -> None:
    """Let a reader be interrupted and leave something half done."""

    def interrupted(*arguments: object) -> bool:
        raise Struck

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server.session.transport, "receive", interrupted)
        with pytest.raises(Struck):
            server.session.read(block=True)
    server.watch.take_events()
