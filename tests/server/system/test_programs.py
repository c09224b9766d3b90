"""Programs that masters start, as either half starts them."""

from __future__ import annotations

import signal

from easycluster_server._system import programs


def test_end_signals() -> None:
    """A program is asked to end first."""
    assert programs.END_SIGNALS[0] == signal.SIGTERM


def test_names() -> None:
    """Each name is that of the half for this system."""
    for name in programs.__all__:
        assert getattr(programs, name) is not None, name
