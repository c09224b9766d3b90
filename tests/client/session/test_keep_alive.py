"""Whether the server still answers: when it is asked, and when it is given up."""

from __future__ import annotations

from typing import Any

import pytest

from easycluster_client._session import keep_alive
from easycluster_client._session.keep_alive import KeepAlive, check_keep_alive
from easycluster_protocol.errors import ConnectionLost
from helpers.clocks import Clock


class FakeServer:
    """A server that was heard of when it was made.

    Args:
        clock: by which it was.

    Attributes:
        done: what was done about it, and when, in seconds from then.
        unread: whether something of it has come that no thread has read.
        ping_takes: how long asking it takes.
    """

    def __init__(self, clock: Clock) -> None:
        self.heard_at = clock.now
        self.error: ConnectionLost | None = None
        self.done: list[tuple[str, float]] = []
        self.unread = False
        self.ping_takes = 0.0
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

    def give_up(self) -> None:
        """End the connection."""
        self._note("give up")
        self.error = ConnectionLost("given up")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock by which the checks run."""
    clock = Clock()
    monkeypatch.setattr(keep_alive, "monotonic", clock.monotonic)
    return clock


@pytest.fixture
def server(clock: Clock) -> FakeServer:
    """A server that was heard of just now."""
    return FakeServer(clock)


def run(checks: KeepAlive, server: FakeServer, clock: Clock, seconds: float) -> list[float | None]:
    """Check as often as it wants, for so long; return how long it waited each time."""
    end, waits = clock.now + seconds, list[float | None]()
    while clock.now < end:
        waits.append(checks.check(server))
        if waits[-1] is None:
            break
        clock.now += waits[-1]
    return waits


# Settings.


@pytest.mark.parametrize(("seconds", "expected"), [(None, None), (3, 3.0), (0.25, 0.25), (True, 1.0)])
def test_settings(seconds: Any, expected: float | None) -> None:
    """None and any positive number are settings; a number becomes a float."""
    found = check_keep_alive("keep_alive_interval", seconds)

    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize("seconds", [0, -1, 0.0, float("nan"), "3", b"3", [1], 1j], ids=repr)
def test_settings_that_are_refused(seconds: Any) -> None:
    """Everything else is refused, by an error that names the setting and shows the value."""
    with pytest.raises(ValueError, match="^keep_alive_interval must be") as caught:
        check_keep_alive("keep_alive_interval", seconds)

    assert str(caught.value) == (
        f"keep_alive_interval must be a positive number of seconds or None, not {seconds!r}"
    )


# Checks.


def test_no_checks_without_an_interval(server: FakeServer, clock: Clock) -> None:
    """Without an interval the server is never asked, and never given up."""
    clock.now += 1_000_000

    assert KeepAlive(None, 5.0).check(server) is None
    assert server.done == []


def test_no_checks_after_the_end(server: FakeServer, clock: Clock) -> None:
    """A connection that has ended is not checked any more."""
    server.error = ConnectionLost("ended")
    clock.now += 1_000_000

    assert KeepAlive(5.0, 20.0).check(server) is None
    assert server.done == []


def test_next_check_of_a_server_that_was_heard_of(server: FakeServer, clock: Clock) -> None:
    """A server that was heard of within the interval is left alone until that ends."""
    clock.now += 2

    assert KeepAlive(5.0, 20.0).check(server) == 3.0
    assert server.done == []


def test_server_that_answers(server: FakeServer, clock: Clock) -> None:
    """A silent server is asked once; when it has answered it counts as heard of, and is asked again after the next
    silence."""
    checks = KeepAlive(5.0, 20.0)
    for _ in range(2):
        clock.now += 5
        checks.check(server)
        clock.now += 1
        checks.check(server)
        server.heard_at = clock.now

    assert server.done == [("ping", 5.0), ("ping", 11.0)]


def test_server_that_stays_silent(server: FakeServer, clock: Clock) -> None:
    """A server that does not answer is given up when its time is over, and is not checked any more then."""
    waits = run(KeepAlive(5.0, 20.0), server, clock, 100)

    assert server.done == [("ping", 5.0), ("give up", 20.0)]
    assert waits == [5.0, 15.0, None]


def test_server_without_a_timeout(server: FakeServer, clock: Clock) -> None:
    """Without a timeout a silent server is asked once, and looked at again and again."""
    waits = run(KeepAlive(5.0, None), server, clock, 20)

    assert server.done == [("ping", 5.0)]
    assert waits == [5.0] * 4


def test_server_is_asked_well_before_it_is_given_up(server: FakeServer, clock: Clock) -> None:
    """When the timeout is short it is asked after half of it, however long the interval is."""
    run(KeepAlive(100.0, 8.0), server, clock, 1000)

    assert server.done == [("ping", 4.0), ("give up", 8.0)]


def test_interval_that_is_short_enough(server: FakeServer, clock: Clock) -> None:
    """An interval that is shorter than half of the timeout stays as it is."""
    run(KeepAlive(1.0, 8.0), server, clock, 1000)

    assert server.done == [("ping", 1.0), ("give up", 8.0)]


def test_process_that_was_stopped(server: FakeServer, clock: Clock) -> None:
    """When this process was stopped itself for a long time, the server still gets its time to answer."""
    checks = KeepAlive(5.0, 20.0)
    clock.now += 1000
    waits = run(checks, server, clock, 100)

    assert server.done == [("ping", 1000.0), ("give up", 1015.0)]
    assert waits == [15.0, None]


def test_asking_that_takes_long(server: FakeServer, clock: Clock) -> None:
    """The time to answer begins before the server is asked, which may take long itself."""
    server.ping_takes = 7.0
    run(KeepAlive(5.0, 20.0), server, clock, 100)

    assert server.done[0] == ("ping", 5.0)
    assert server.done[1][0] == "give up"
    assert [name for name, _ in server.done] == ["ping", "give up"]


def test_answer_that_is_unread(server: FakeServer, clock: Clock) -> None:
    """While something has come that its reader has not taken yet, the server is not given up, but soon looked at again."""
    server.unread = True
    checks = KeepAlive(5.0, 20.0)
    waits = run(checks, server, clock, 20.2)
    server.unread = False

    assert waits[:2] == [5.0, 15.0]
    assert set(waits[2:]) == {0.05}
    assert server.error is None
    assert checks.check(server) is None
    assert server.error is not None


def test_server_that_answers_in_the_last_moment(server: FakeServer, clock: Clock) -> None:
    """A server that was heard of again just before the end of its time gets a whole interval."""
    checks = KeepAlive(5.0, 20.0)
    clock.now += 5
    checks.check(server)
    clock.now += 15
    server.heard_at = clock.now

    assert checks.check(server) == 5.0
    assert server.error is None


def test_silence_after_an_answer_in_the_same_moment(server: FakeServer, clock: Clock) -> None:
    """A server that answered in the very moment in which it was asked is asked again after the next silence."""
    checks = KeepAlive(5.0, 20.0)
    clock.now += 5
    checks.check(server)
    server.heard_at = clock.now
    clock.now += 5
    checks.check(server)

    assert server.done == [("ping", 5.0), ("ping", 10.0)]
