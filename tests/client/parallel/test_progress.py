"""Lines about the progress of a long work: when they come, and where they do not."""

from __future__ import annotations

import io
import sys

import pytest

from easycluster_client._parallel import progress as progress_module
from easycluster_client._parallel.progress import Progress
from helpers.clocks import Clock


class Terminal(io.StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of the lines."""
    clock = Clock()
    monkeypatch.setattr(progress_module, "time", clock)
    return clock


def test_lines(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal there is a line every three seconds, and none about work that is done before."""
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    progress = Progress(None, 10)
    for done in range(5):
        progress.tell(done, 1)
        clock.now += 1.6

    assert screen.getvalue() == (
        "easycluster: 2 of 10 hosts connected, 1 failed, 7 to go\n"
        "easycluster: 4 of 10 hosts connected, 1 failed, 5 to go\n"
    )


@pytest.mark.parametrize(("is_wanted", "lines"), [(None, 0), (False, 0), (True, 1)])
def test_no_terminal(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, is_wanted: bool | None, lines: int
) -> None:
    """Elsewhere there are lines only if the script asks for them."""
    screen = io.StringIO()
    monkeypatch.setattr(sys, "stderr", screen)
    progress = Progress(is_wanted, 10)
    clock.now += 4
    progress.tell(1, 0)

    assert screen.getvalue().count("\n") == lines


@pytest.mark.parametrize("is_wanted", [None, True])
def test_no_standard_error(clock: Clock, monkeypatch: pytest.MonkeyPatch, is_wanted: bool | None) -> None:
    """Without standard error nothing is printed and nothing fails."""
    monkeypatch.setattr(sys, "stderr", None)
    progress = Progress(is_wanted, 10)
    clock.now += 4
    progress.tell(1, 0)
