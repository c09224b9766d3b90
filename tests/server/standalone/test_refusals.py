from __future__ import annotations

import logging

import pytest

from easycluster_server._standalone.refusals import PERIOD, SHOWN, RefusalLog


class Clock:
    """A clock that the test sets."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """The clock of a log."""
    return Clock()


@pytest.fixture
def refusals(clock: Clock, caplog: pytest.LogCaptureFixture) -> RefusalLog:
    """A log of refused peers."""
    caplog.set_level(logging.INFO, "easycluster")
    return RefusalLog(clock)


def test_the_first_few_of_a_minute(
    refusals: RefusalLog, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """The first few have a line each; of the others, one line a minute tells the number and the last."""
    for number in range(SHOWN + 1000):
        refusals.note(f"h:{number}", "it speaks HTTP")
    shown = list(caplog.messages)
    deadline = refusals.deadline
    clock.now += PERIOD
    refusals.tell_rest()
    rest = caplog.messages[len(shown) :]
    refusals.note("h:1", "again")

    assert shown == [f"connection from h:{number} refused: it speaks HTTP" for number in range(SHOWN)]
    assert deadline == 100.0 + PERIOD
    last = SHOWN + 999
    assert rest == [f"1000 more peers were refused in the last minute; the last: h:{last}: it speaks HTTP"]
    assert caplog.messages[-1] == "connection from h:1 refused: again"
    assert refusals.deadline is None


def test_few_refusals_need_no_number(
    refusals: RefusalLog, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """Where each has a line, the minute ends without one."""
    refusals.note("h:1", "x")
    clock.now += PERIOD
    refusals.tell_rest()

    assert refusals.deadline is None
    assert caplog.messages == ["connection from h:1 refused: x"]


def test_end_of_the_server(refusals: RefusalLog, caplog: pytest.LogCaptureFixture) -> None:
    """A server that ends tells the number before."""
    for _ in range(SHOWN + 1):
        refusals.note_failure(OSError(24, "Too many open files"))
    refusals.tell_rest(even_early=True)

    assert caplog.messages[0] == "a connection could not be accepted: [Errno 24] Too many open files"
    assert caplog.messages[SHOWN:] == [
        "1 more peer was refused in the last minute; the last: [Errno 24] Too many open files"
    ]
