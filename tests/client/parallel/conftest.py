"""What the tests of several connections share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from easycluster_client import _deadlines
from helpers.clocks import Clock
from helpers.hand_made import HandMadeServer


@pytest.fixture
def other() -> Iterator[HandMadeServer]:
    """A second server."""
    server = HandMadeServer()
    yield server
    server.close()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock by which limits are counted."""
    clock = Clock()
    monkeypatch.setattr(_deadlines, "time", clock)
    return clock
