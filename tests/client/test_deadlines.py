"""Limits in time: how they are checked, and the one on connecting, which stops while the user is asked."""

from __future__ import annotations

import os
from typing import Any

import pytest

from easycluster import ConnectError
from easycluster_client import _deadlines
from easycluster_client._deadlines import Deadline, check_connect_timeout
from helpers.waiting import PATIENCE


class Clock:
    """Stands for the clock, and for waiting, which lets it go on."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.waits: list[float] = []
        #: What each wait finds, from the first; nothing after the last.
        self.found: dict[int, tuple[bool, bool]] = {}
        #: Seconds that a look whether the user is asked takes.
        self.look_takes = 0.0

    def monotonic(self) -> float:
        return self.now

    def wait(self, read: int, write: int, timeout: float) -> tuple[bool, bool]:
        self.waits.append(timeout)
        self.now += timeout
        return self.found.get(len(self.waits), (False, False))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock by which deadlines run in this test."""
    clock = Clock()
    monkeypatch.setattr(_deadlines, "time", clock)
    monkeypatch.setattr(_deadlines, "wait", clock.wait)
    return clock


@pytest.mark.parametrize("seconds", [1, 0.001, 30.0, 86400])
def test_limit(seconds: float) -> None:
    """Any positive number of seconds up to a day is a limit."""
    assert check_connect_timeout(seconds) == seconds
    assert isinstance(check_connect_timeout(seconds), float)


@pytest.mark.parametrize(
    "seconds", [0, -1, float("nan"), float("inf"), 86401, "30", None, b"1", 1j], ids=repr
)
def test_no_limit(seconds: Any) -> None:
    """Everything else is refused, and the error shows it."""
    with pytest.raises(ValueError, match="connect_timeout") as caught:
        check_connect_timeout(seconds)

    assert repr(seconds) in str(caught.value)


def test_time_is_over(clock: Clock) -> None:
    """When nothing came within the limit, the error says how long that was."""
    with pytest.raises(ConnectError, match=r"^no answer within 7.5 seconds$"):
        Deadline(7.5).wait(0)

    assert clock.now == pytest.approx(1007.5)


def test_limit_is_for_all_waits_together(clock: Clock) -> None:
    """What one wait used is missing in the next."""
    deadline = Deadline(10)
    clock.found = {20: (True, False)}
    deadline.wait(0)
    assert deadline.left == pytest.approx(5)

    with pytest.raises(ConnectError):
        deadline.wait(0)

    assert clock.now == pytest.approx(1010)


@pytest.mark.parametrize("found", [(True, False), (False, True), (True, True)])
def test_ready_in_the_last_moment(clock: Clock, found: tuple[bool, bool]) -> None:
    """What is ready counts, even when the time is over by then."""
    deadline = Deadline(0.25)
    clock.found = {1: found}

    deadline.wait(0, 1)

    assert deadline.left == 0


def test_prompt_is_not_counted(clock: Clock) -> None:
    """While the user is asked, the limit does not run: afterwards as much is left as before."""

    def is_prompting() -> bool:
        return 1003 <= clock.now < 2000

    with pytest.raises(ConnectError, match="within 5 seconds"):
        Deadline(5, is_prompting).wait(0)

    assert clock.now == pytest.approx(1005 + 997, abs=1)


def test_prompt_at_the_end_of_the_limit(clock: Clock) -> None:
    """A prompt that is there when the time is over still stops the clock, and is looked at without haste."""
    deadline = Deadline(0.1, lambda: clock.now < 1050)

    with pytest.raises(ConnectError):
        deadline.wait(0)

    assert clock.now >= 1050
    assert min(clock.waits) >= 0.02


def test_looking_is_not_counted_either(clock: Clock) -> None:
    """A look that takes long, on a machine with many processes, does not use up the limit during a prompt."""

    def is_prompting() -> bool:
        clock.now += 3
        return clock.now < 1060

    deadline = Deadline(5, is_prompting)
    with pytest.raises(ConnectError):
        deadline.wait(0)

    assert clock.now > 1060


def test_descriptors() -> None:
    """The wait ends when the one descriptor can be read from, or the other written to."""
    reading, writing = os.pipe()
    deadline = Deadline(PATIENCE)

    deadline.wait(-1, writing)
    with pytest.raises(ConnectError):
        Deadline(0.01).wait(reading)
    os.write(writing, b"x")
    deadline.wait(reading)

    os.close(reading)
    os.close(writing)


def test_share_of_a_deadline(clock: Clock) -> None:
    """Each of several steps gets an equal part of the time that is left, and the last all of it."""
    deadline = Deadline(6)
    clock.now += 3

    assert deadline.share(3).left == pytest.approx(1)
    assert deadline.share(1) is deadline
