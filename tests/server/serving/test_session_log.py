from __future__ import annotations

import os
import re
from collections.abc import Iterator

import pytest

from easycluster_server._serving.session_log import SessionLog, clean, stamp
from easycluster_server._system.control import CLOSED, LOST
from easycluster_server._system.output import standard_error

STAMP = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} "


@pytest.fixture(autouse=True)
def no_stamps() -> Iterator[None]:
    """A log sets the time stamp for its process."""
    yield
    standard_error.prefix = str


def test_stamp() -> None:
    """A time stamp is one of `logging`."""
    assert re.fullmatch(STAMP, stamp())


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("os.getpid", "os.getpid"),
        ("maß", "maß"),
        ("a\nb\x1b[2J", "a\\nb\\x1b[2J"),
        ("x" * 101, "x" * 100 + "..."),
    ],
)
def test_names(name: str, shown: str) -> None:
    """A name that a client chose cannot look like a line of the log, nor fill it."""
    assert clean(name) == shown


@pytest.mark.parametrize(
    ("verbosity", "outcome", "ending"),
    [
        (0, CLOSED, ""),
        (1, CLOSED, r"h:5 closed the connection after \d+\.\d s\n"),
        (1, LOST, r"h:5 was lost after \d+\.\d s\n"),
        (2, LOST, r"h:5 was lost after 2 calls, \d+\.\d s, in the middle of f\n"),
    ],
)
def test_end(capfd: pytest.CaptureFixture[str], verbosity: int, outcome: str, ending: str) -> None:
    """The line about the end of a session comes once, after those that are called for before."""
    log = SessionLog("h:5", verbosity)
    log.last_lines = lambda: log.write("is told of")
    if log.with_calls:
        log.begin(1)
        log.finish(1, "called g")
        log.begin(2).label = "f"
    log.end(outcome)
    log.end(LOST)

    printed = capfd.readouterr().err
    lines = [rf"{STAMP}easycluster: {line}" for line in (r"h:5 is told of\n", ending)] if verbosity else []
    calls = rf"{STAMP}easycluster: h:5 called g\n" if verbosity == 2 else ""
    assert re.fullmatch(calls + "".join(lines), printed)


def test_forked_process(capfd: pytest.CaptureFixture[str]) -> None:
    """A process that was forked writes nothing to the log of its parent."""
    log = SessionLog("h:5", 2)
    child = os.fork()
    if child == 0:
        log.end(LOST)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0

    assert capfd.readouterr().err == ""
