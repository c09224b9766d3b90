"""What the verbs of services need: a system that has them in a folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from easycluster_server._command_line import service_verbs
from easycluster_server._standalone.services.systems import SYSTEMS
from helpers.fake_service import FakeService


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a machine's services; nothing is installed there."""
    folder = tmp_path / "machine"
    folder.mkdir()
    monkeypatch.setattr(FakeService, "place", folder, raising=False)
    monkeypatch.setattr(FakeService, "problem", "")
    monkeypatch.setitem(SYSTEMS, "fake", FakeService)
    monkeypatch.setattr(service_verbs, "find_system", lambda: FakeService)
    monkeypatch.setattr(service_verbs, "_find_program", lambda: ("python", "-m", "easycluster"))
    return folder
