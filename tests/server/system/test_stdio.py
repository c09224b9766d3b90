from __future__ import annotations

from easycluster_server._system import stdio


def test_names() -> None:
    """A server behind a pipe finds what it needs; what that does is in the tests of each half."""
    assert callable(stdio.take_over)
    assert callable(stdio.run_guardian_and_worker)
