"""What all services have in common: their files, installing, uninstalling."""

from __future__ import annotations

from pathlib import Path

import pytest

from easycluster_server._standalone.config.settings import Settings
from easycluster_server._standalone.services.service import Service
from easycluster_server._standalone.services.steps import WriteKey, perform_all
from helpers.fake_service import FakeService


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeService:
    """A service that is not installed."""
    monkeypatch.setattr(FakeService, "place", tmp_path, raising=False)
    return FakeService(("python", "-m", "easycluster"))


def test_paths(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Settings and key are beside each other, for the machine or for a user, and the server reads them there."""
    monkeypatch.setenv("HOME", str(tmp_path))
    of_machine, of_user = Service(("python",)), Service(("python",), True)

    assert (of_machine.config_path, of_machine.key_path) == (
        "/etc/easycluster/server.ini",
        "/etc/easycluster/server.key",
    )
    assert of_user.config_path == str(tmp_path / ".config/easycluster/server.ini")
    assert of_machine.serve_command == ("python", "-S", "--config", "/etc/easycluster/server.ini")
    assert (of_machine.find_problem(Settings({})), of_machine.left_over()) == ("", [])


def test_installing_and_uninstalling(service: FakeService, tmp_path: Path) -> None:
    """Installing writes settings, key and unit, and uninstalling leaves the key alone."""
    steps = service.install(Settings({"port": 5}), "[server]\n", WriteKey(service.key_path))

    assert not service.is_installed()
    assert perform_all(steps, str)
    assert service.is_installed()
    assert not perform_all(steps, str)
    assert Path(service.unit).read_text() == "port 5\n"
    assert Path(service.config_path).read_text() == "[server]\n"
    assert perform_all(service.uninstall(), str)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [Path(service.key_path)]
    assert not perform_all(service.uninstall(), str)


def test_running(service: FakeService) -> None:
    """The command of the system says whether a service runs; one that is not installed does not."""
    Path(service.running).touch()
    assert not Service.is_running(service)
    Path(service.unit).touch()

    assert Service.is_running(service)
