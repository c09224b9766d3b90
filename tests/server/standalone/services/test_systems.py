"""The table of systems."""

from __future__ import annotations

import pytest

from easycluster_server._standalone.services import systems
from helpers.fake_service import FakeService


def test_names() -> None:
    """Each system has its own name, and says where it was tried."""
    assert all(name == each.system and each.tested for name, each in systems.SYSTEMS.items())


def test_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first that is here is taken; there may be none."""
    monkeypatch.setattr(systems, "SYSTEMS", {"fake": FakeService})
    assert systems.find_system() is FakeService
    monkeypatch.setattr(systems, "SYSTEMS", {})
    assert systems.find_system() is None
