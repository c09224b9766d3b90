from __future__ import annotations

import os
import socket

import pytest

from easycluster_server._io.questions import parse_answer
from easycluster_server._system.posix import reports as reports_module
from easycluster_server._system.posix.reports import UnreadReports


class Clock:
    """Goes on when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        """The time."""
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of the reports."""
    made = Clock()
    monkeypatch.setattr(reports_module, "time", made)
    return made


def test_unread_bytes(clock: Clock) -> None:
    """Bytes that lie in the link at two looks running are told of, with the state of the worker, as long as they do."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        reports = UnreadReports(theirs.fileno(), os.getpid(), 1.0, b"mark")
        said: list[bytes] = []

        def look() -> None:
            clock.now += 1.0
            said.append(reports.look())

        look()
        ours.sendall(b"x")
        look()
        assert said == [b"", b""]
        look()
        look()
        assert [each[:4] for each in said[2:]] == [b"mark", b"mark"]
        answer = parse_answer(said[-1][4:])
        assert answer is not None
        assert answer.state in "RS"
        theirs.recv(1)
        look()
        ours.sendall(b"y")
        look()
        assert said[4:] == [b"", b""]


def test_time_of_looks(clock: Clock) -> None:
    """A look comes once an interval, and waits end for it; without an interval there is none."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(b"x")
        reports = UnreadReports(theirs.fileno(), os.getpid(), 2.0, b"mark")
        clock.now = 0.5
        assert (reports.limit_wait(None), reports.limit_wait(1.0), reports.limit_wait(9.0)) == (1.5, 1.0, 1.5)
        assert reports.look() == b""
        clock.now = 3.0
        assert (reports.limit_wait(None), reports.look(), reports.limit_wait(None)) == (0.0, b"", 2.0)

        never = UnreadReports(theirs.fileno(), os.getpid(), 0, b"")
        clock.now = 99.0
        assert (never.limit_wait(None), never.limit_wait(7.0), never.look(), never.look()) == (
            None,
            7.0,
            b"",
            b"",
        )


def test_link_that_has_ended() -> None:
    """Of a link that cannot be looked at nothing is told."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        reports = UnreadReports(theirs.fileno(), os.getpid(), 1e-9, b"mark")
    assert (reports.look(), reports.look()) == (b"", b"")
