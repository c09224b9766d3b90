"""Whether the server still answers: when it is asked, and when it is given up."""

from __future__ import annotations

import pytest

from easycluster_client._keep_alive_options import KeepAliveOptions
from easycluster_client._observers import RUNNING, STOPPED, Observation, Observer, SocketObserver, Verdict
from easycluster_client._session import keep_alive as keep_alive_module
from easycluster_client._session.keep_alive import KeepAlive, Queue
from easycluster_protocol.errors import ConnectionLost
from helpers.clocks import Clock
from helpers.hand_made import raise_timeout


class FakeObserver(Observer):
    """Says what the test tells it.

    Attributes:
        asked: how often it was asked.
        state: what it answers; None: nothing.
        verdict: its verdict on silence.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.asked = 0
        self.state: str | None = None
        self.verdict: Verdict | None = SILENT
        self._observation: Observation | None = None

    def ask(self) -> None:
        self.asked += 1
        if self.state is not None:
            self._observation = Observation(self.state, self._clock.now, f"it is {self.state}")

    def find_observation(self) -> Observation | None:
        return self._observation

    def judge_silence(self, unacknowledged: int | None) -> Verdict | None:
        return self.verdict


#: That on a silent process, where nothing else was seen.
SILENT = Verdict("frozen", "it is silent")


class FakeServer:
    """A server that was heard of when it was made.

    Args:
        clock: by which it was.

    Attributes:
        done: what was done about it, and when, in seconds from then.
        unread: whether something of it has come that no thread has read.
        ping_takes: how long asking it takes.
        observer: sees it.
        queue: what is to be sent to it.
        is_full: whether its system has no room for that, and says so.
        verdict: that by which it was given up.
    """

    def __init__(self, clock: Clock) -> None:
        self.heard_at = clock.now
        self.error: ConnectionLost | None = None
        self.done: list[tuple[str, float]] = []
        self.unread = False
        self.ping_takes = 0.0
        self.observer: Observer = FakeObserver(clock)
        self.queue = Queue(None, False, [], 0)
        self.is_full = False
        self.verdict: Verdict | None = None
        self._clock = clock
        self._begin = clock.now

    def _note(self, name: str) -> None:
        self.done.append((name, self._clock.now - self._begin))

    def ping(self) -> None:
        """Ask the server."""
        self._note("ping")
        self._clock.now += self.ping_takes

    def has_bytes(self) -> bool:
        """Whether something has come."""
        return self.unread

    def find_queue(self) -> Queue:
        """What is to be sent."""
        return self.queue

    def is_peer_full(self) -> bool:
        """Whether it acknowledges what it gets, and reads nothing."""
        return self.is_full

    def give_up(self, verdict: Verdict) -> None:
        """End the connection."""
        self._note("give up")
        self.verdict = verdict
        self.error = ConnectionLost("given up")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock by which the checks run."""
    clock = Clock()
    monkeypatch.setattr(keep_alive_module, "monotonic", clock.monotonic)
    return clock


@pytest.fixture
def server(clock: Clock) -> FakeServer:
    """A server that was heard of just now."""
    return FakeServer(clock)


def keep_alive(interval: float | None, timeout: float | None) -> KeepAlive:
    """Return the checks with these limits."""
    return KeepAlive(KeepAliveOptions(interval, timeout))


def observe(server: FakeServer) -> FakeObserver:
    """Return the observer of a server."""
    assert isinstance(server.observer, FakeObserver)
    return server.observer


def run(checks: KeepAlive, server: FakeServer, clock: Clock, seconds: float) -> list[float | None]:
    """Check as often as it wants, for so long; return how long it waited each time."""
    end, waits = clock.now + seconds, list[float | None]()
    while clock.now < end:
        waits.append(checks.check(server))
        if waits[-1] is None:
            break
        clock.now += waits[-1]
    return waits


# Checks.


def test_no_checks_without_an_interval(server: FakeServer, clock: Clock) -> None:
    """Without an interval the server is never asked, and never given up."""
    clock.now += 1_000_000

    assert keep_alive(None, 5.0).check(server) is None
    assert server.done == []


def test_no_checks_after_the_end(server: FakeServer, clock: Clock) -> None:
    """A connection that has ended is not checked any more."""
    server.error = ConnectionLost("ended")
    clock.now += 1_000_000

    assert keep_alive(5.0, 20.0).check(server) is None
    assert server.done == []


def test_next_check_of_a_server_that_was_heard_of(server: FakeServer, clock: Clock) -> None:
    """A server that was heard of within the interval is left alone until that ends."""
    clock.now += 2

    assert keep_alive(5.0, 20.0).check(server) == 3.0
    assert server.done == []


def test_server_that_answers(server: FakeServer, clock: Clock) -> None:
    """A silent server is asked once; when it has answered it counts as heard of, and is asked again after the next
    silence."""
    checks = keep_alive(5.0, 20.0)
    for _ in range(2):
        clock.now += 5
        checks.check(server)
        clock.now += 1
        checks.check(server)
        server.heard_at = clock.now

    assert server.done == [("ping", 5.0), ("ping", 11.0)]


def test_server_that_stays_silent(server: FakeServer, clock: Clock) -> None:
    """A server that does not answer is given up when its time is over, and is not checked any more then."""
    waits = run(keep_alive(5.0, 20.0), server, clock, 100)

    assert server.done == [("ping", 5.0), ("give up", 20.0)]
    assert waits == [5.0, 5.0, 5.0, 5.0, None]


def test_server_without_a_timeout(server: FakeServer, clock: Clock) -> None:
    """Without a timeout a silent server is asked once, and looked at again and again."""
    waits = run(keep_alive(5.0, None), server, clock, 20)

    assert server.done == [("ping", 5.0)]
    assert waits == [5.0] * 4


def test_server_is_asked_well_before_it_is_given_up(server: FakeServer, clock: Clock) -> None:
    """When the timeout is short it is asked after half of it, however long the interval is."""
    run(keep_alive(100.0, 8.0), server, clock, 1000)

    assert server.done == [("ping", 4.0), ("give up", 8.0)]


def test_interval_that_is_short_enough(server: FakeServer, clock: Clock) -> None:
    """An interval that is shorter than half of the timeout stays as it is."""
    run(keep_alive(1.0, 8.0), server, clock, 1000)

    assert server.done == [("ping", 1.0), ("give up", 8.0)]


def test_process_that_was_stopped(server: FakeServer, clock: Clock) -> None:
    """When this process was stopped itself for a long time, the server still gets its time to answer."""
    checks = keep_alive(5.0, 20.0)
    clock.now += 1000
    waits = run(checks, server, clock, 100)

    assert server.done == [("ping", 1000.0), ("give up", 1015.0)]
    assert waits == [5.0, 5.0, 5.0, None]


def test_asking_that_takes_long(server: FakeServer, clock: Clock) -> None:
    """The time to answer begins before the server is asked, which may take long itself."""
    server.ping_takes = 7.0
    run(keep_alive(5.0, 20.0), server, clock, 100)

    assert server.done[0] == ("ping", 5.0)
    assert server.done[1][0] == "give up"
    assert [name for name, _ in server.done] == ["ping", "give up"]


def test_answer_that_is_unread(server: FakeServer, clock: Clock) -> None:
    """While something has come that its reader has not taken yet, the server is not given up, but soon looked at again."""
    server.unread = True
    checks = keep_alive(5.0, 20.0)
    waits = run(checks, server, clock, 20.2)
    server.unread = False

    assert waits[:4] == [5.0] * 4
    assert set(waits[4:]) == {0.05}
    assert server.error is None
    assert checks.check(server) is None
    assert server.error is not None


def test_server_that_answers_in_the_last_moment(server: FakeServer, clock: Clock) -> None:
    """A server that was heard of again just before the end of its time gets a whole interval."""
    checks = keep_alive(5.0, 20.0)
    clock.now += 5
    checks.check(server)
    clock.now += 15
    server.heard_at = clock.now

    assert checks.check(server) == 5.0
    assert server.error is None


def test_silence_after_an_answer_in_the_same_moment(server: FakeServer, clock: Clock) -> None:
    """A server that answered in the very moment in which it was asked is asked again after the next silence."""
    checks = keep_alive(5.0, 20.0)
    clock.now += 5
    checks.check(server)
    server.heard_at = clock.now
    clock.now += 5
    checks.check(server)

    assert server.done == [("ping", 5.0), ("ping", 10.0)]


def test_interrupt_while_it_is_asked(
    server: FakeServer, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a signal handler that raised in the middle of asking, the server is asked again."""
    checks = keep_alive(5.0, 20.0)
    clock.now += 5
    with monkeypatch.context() as patch:
        patch.setattr(server, "ping", raise_timeout)
        with pytest.raises(TimeoutError):
            checks.check(server)
    run(checks, server, clock, 100)

    assert server.done == [("ping", 5.0), ("give up", 20.0)]


# Busy, slow, frozen, lost.


def test_busy_server(server: FakeServer, clock: Clock) -> None:
    """A server of which its observer says that it runs is never given up, however long it says nothing itself."""
    observe(server).state = RUNNING
    run(keep_alive(5.0, 20.0), server, clock, 10_000)

    assert server.done == [("ping", 5.0)]
    assert server.error is None


def test_busy_server_that_freezes(server: FakeServer, clock: Clock) -> None:
    """A server that ran at the last look is given up when that is as long ago as the timeout, by what is seen then."""
    checks = keep_alive(5.0, 20.0)
    observe(server).state = RUNNING
    run(checks, server, clock, 100)
    observe(server).state = STOPPED
    run(checks, server, clock, 100)

    assert server.done == [("ping", 5.0), ("give up", 115.0)]
    assert server.verdict == Verdict("frozen", "it is stopped")


def test_observer_that_falls_silent(server: FakeServer, clock: Clock) -> None:
    """When the observer says nothing more either, the time of the server ends as long after its last word."""
    checks = keep_alive(5.0, 20.0)
    observe(server).state = RUNNING
    run(checks, server, clock, 100)
    observe(server).state = None
    run(checks, server, clock, 100)

    assert server.done == [("ping", 5.0), ("give up", 115.0)]
    assert server.verdict == SILENT


def test_frozen_server_that_goes_on(server: FakeServer, clock: Clock) -> None:
    """A server that was stopped, and goes on in time, is not given up."""
    checks = keep_alive(5.0, 20.0)
    observe(server).state = STOPPED
    run(checks, server, clock, 19)
    observe(server).state = RUNNING
    server.heard_at = clock.now
    run(checks, server, clock, 10)

    assert server.error is None


def test_nobody_can_tell(server: FakeServer, clock: Clock) -> None:
    """Where no observer can tell busy from frozen the server is kept, and looked at after each interval."""
    observe(server).verdict = None
    waits = run(keep_alive(5.0, 20.0), server, clock, 10_000)

    assert server.done == [("ping", 5.0)]
    assert set(waits) == {5.0}


@pytest.mark.parametrize("unknown", [None, 1000])
def test_slow_link_that_takes_more(server: FakeServer, clock: Clock, unknown: int | None) -> None:
    """While a message waits for room, and the system takes more of it, the link is slow and not lost."""
    checks, sent = keep_alive(5.0, 20.0), [0]
    for _ in range(100):
        sent.append(1)
        server.queue = Queue(unknown, True, sent, len(sent))
        checks.check(server)
        clock.now += 5

    assert server.error is None
    run(checks, server, clock, 100)

    assert server.done[-1] == ("give up", 5.0 * 99 + 20)


def test_slow_link_between_two_messages(server: FakeServer, clock: Clock) -> None:
    """A message that waited at one look, and is gone at the next, has left."""
    checks = keep_alive(5.0, 20.0)
    for number in range(100):
        server.queue = Queue(None, True, [number], 1)
        checks.check(server)
        clock.now += 5

    assert server.error is None


def test_slow_link_that_acknowledges(server: FakeServer, clock: Clock) -> None:
    """While bytes that the system has taken leave it, the link is slow and not lost."""
    checks = keep_alive(5.0, 20.0)
    for left in range(100, 0, -1):
        server.queue = Queue(left, False, [], 0)
        checks.check(server)
        clock.now += 5

    assert server.error is None


@pytest.mark.parametrize("is_full", [True, False])
def test_peer_that_reads_nothing(server: FakeServer, clock: Clock, is_full: bool) -> None:
    """A host that has no room, and acknowledges that, may be busy; one that acknowledges nothing is lost."""
    checks = keep_alive(5.0, 20.0)
    server.observer = SocketObserver(acknowledges=True)
    server.queue, server.is_full = Queue(1000, False, [], 0), is_full
    run(checks, server, clock, 100)

    assert (server.verdict and server.verdict.reason) == (None if is_full else "lost")


def test_more_messages_are_no_sign_of_life(server: FakeServer, clock: Clock) -> None:
    """Messages that only fill the system's buffer, while nothing leaves it, keep no lost server alive."""
    checks = keep_alive(5.0, 20.0)
    for number in range(100):
        server.queue = Queue(number, False, [number], 1)
        checks.check(server)
        clock.now += 1

    assert server.done == [("ping", 5.0), ("give up", 20.0)]
