"""Putting other code in the place of a process: the half of this system."""

from __future__ import annotations

from easycluster_server._system.replacing import replace_process, take_over_session


def test_the_half_of_this_system() -> None:
    """Both functions are those that can do it."""
    module = "easycluster_server._system.posix.replacing"

    assert replace_process.__module__ == take_over_session.__module__ == module
