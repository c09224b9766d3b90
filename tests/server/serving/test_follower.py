from __future__ import annotations

from collections.abc import Iterator

import pytest

from easycluster_server._serving.follower import IDLE_TICKS, TICK, Follower
from helpers.states import interrupt_stop, note_waits
from helpers.waiting import wait_until


class Main:
    """Stands where the main thread is, with its calls, and where the connection is."""

    def __init__(self) -> None:
        self.call = 0
        self.looks = 0
        self.reads = 0
        self.ended = False
        #: What it is in at each look, before `call` counts.
        self.short_calls: Iterator[int] = iter(())

    def get_current_call(self) -> int:
        """The number of the call that the main thread is in."""
        self.looks += 1
        return next(self.short_calls, self.call)

    def read(self, timeout: float) -> bool:
        """Read in its stead."""
        self.reads += 1
        return not self.ended


@pytest.fixture
def main() -> Main:
    """The main thread."""
    return Main()


@pytest.fixture
def follower(main: Main) -> Iterator[Follower]:
    """A follower that runs."""
    follower = Follower(main.get_current_call, main.read)
    follower.start()
    wait_until(lambda: main.looks)  # before that it looks as if it slept
    yield follower
    follower.stop()


def wait_until_asleep(follower: Follower) -> None:
    """Wait until it sleeps, at its gate and not on the way there."""
    wait_until(lambda: follower.is_asleep and follower._gate._lock.locked())


def followers(follower: Follower) -> int:
    """How many threads of it run."""
    return sum(ended.locked() for _, ended in follower._threads)


def test_sleeps_when_there_are_no_calls(main: Main) -> None:
    """Without calls it looks for some ticks, and then waits until it is woken, however long that takes."""
    follower = Follower(main.get_current_call, main.read)
    waits = note_waits(follower)
    follower.start()
    wait_until(lambda: len(waits) > IDLE_TICKS)
    looks = main.looks
    asleep = follower.is_asleep
    follower.stop()

    assert asleep
    assert waits == [TICK] * IDLE_TICKS + [-1]
    assert main.looks == looks
    assert main.reads == 0


def test_reads_during_a_call_that_lasts(follower: Follower, main: Main) -> None:
    """It reads while a call lasts, and sleeps again after it."""
    main.call = 1
    follower.wake()
    wait_until(lambda: main.reads > 3)
    main.call = 0
    wait_until_asleep(follower)


def test_does_not_read_during_short_calls(follower: Follower, main: Main) -> None:
    """Calls that are over when it looks again are none of its business."""
    main.short_calls = iter(range(1, 20))
    follower.wake()
    wait_until(lambda: main.looks > 20)

    assert main.reads == 0


def test_call_that_begins_when_it_falls_asleep(main: Main) -> None:
    """A call that begins just when it goes to sleep is followed, although nobody woke it."""

    class Drowsy(Follower):
        @property
        def is_asleep(self) -> bool:
            return self._is_asleep

        @is_asleep.setter
        def is_asleep(self, value: bool) -> None:
            self._is_asleep = value
            if value:
                # The main thread looked before this, and saw no need to wake anybody.
                main.call = 1

    follower = Drowsy(main.get_current_call, main.read)
    follower.start()
    wait_until(lambda: main.reads > 3)
    follower.stop()


def test_waking_twice(follower: Follower, main: Main) -> None:
    """To be woken more often than needed does no harm."""
    for _ in range(3):
        wait_until_asleep(follower)
        for _ in range(5):
            follower.wake()
    wait_until_asleep(follower)

    assert main.reads == 0


def test_connection_that_has_ended(follower: Follower, main: Main) -> None:
    """When the connection has ended during a call it does not read again and again at once."""
    main.ended = True
    main.call = 1
    follower.wake()
    wait_until(lambda: main.reads > 2)

    assert main.looks >= 2 * main.reads


@pytest.mark.parametrize("call", [0, 1])
def test_stop_and_start(follower: Follower, main: Main, call: int) -> None:
    """It can be stopped and started, when it sleeps and when it reads; twice is as good as once."""
    main.call = call
    for _ in range(3):
        if call:
            follower.wake()
            wait_until(lambda: main.reads)
        else:
            wait_until_asleep(follower)
        assert follower.stop()
        assert not follower.stop()
        assert followers(follower) == 0
        main.reads = 0
        follower.start()
        follower.start()
        assert followers(follower) == 1


def test_start_after_an_interrupted_stop(follower: Follower, main: Main) -> None:
    """A stop that was cut short is made good by the next start."""
    interrupt_stop(follower)
    follower.start()
    main.call = 1
    follower.wake()
    wait_until(lambda: main.reads)

    assert followers(follower) == 1


def test_stop_by_itself(main: Main) -> None:
    """What it reads may stop it, and it does not wait for its own end."""

    def read(timeout: float) -> bool:
        main.reads += 1
        own.stop()
        return True

    own = Follower(main.get_current_call, read)
    main.call = 1
    own.start()
    wait_until(lambda: not followers(own))

    assert main.reads == 1
