"""Users of this machine, whatever it is."""

from __future__ import annotations

from easycluster_server._system import accounts


def test_names() -> None:
    """What services ask is there."""
    assert accounts.find_comment("no-such-user") is None
