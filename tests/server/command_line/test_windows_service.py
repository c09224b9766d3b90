"""What a service of Windows runs, with a stand-in for the service control manager."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from easycluster_protocol.keys import generate_key, write_key_file
from easycluster_server._command_line import windows_service
from easycluster_server._standalone.config.settings import Settings
from easycluster_server._standalone.service_manager import ServiceManager


class FakeProcess:
    """Notes what the service control manager is told."""

    told: list[object]

    def __init__(self, name: str) -> None:
        FakeProcess.told = [name]

    def tell(self, *lines: str) -> None:
        FakeProcess.told.extend(lines)

    def end(self, status: int) -> None:
        FakeProcess.told.append(status)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The service control manager is a stand-in, and the streams stay."""
    monkeypatch.setattr(windows_service, "ServiceProcess", FakeProcess)
    monkeypatch.setattr(windows_service, "open_standard_streams", lambda log: None)


def test_serving(told: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings of the file are served, and the manager is told of the beginning and of the end."""
    (tmp_path / "server.ini").write_text("[server]\nport = 5\n")

    def serve(settings: Settings, read_again: object, manager: ServiceManager) -> int:
        assert settings.number("port") == 5
        manager.tell("READY=1")
        return 0

    monkeypatch.setattr(windows_service, "serve", serve)
    monkeypatch.setenv("__PYVENV_LAUNCHER__", "x")

    assert windows_service.main(["Name", str(tmp_path / "server.ini"), "log"]) == 0
    assert FakeProcess.told == ["Name", "READY=1", 0]
    assert "__PYVENV_LAUNCHER__" not in os.environ


def test_wrong_settings(told: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is wrong is in the log, and the manager gets an exit status."""
    (tmp_path / "server.ini").write_text("[server]\nport = x\n")

    assert windows_service.main(["Name", str(tmp_path / "server.ini"), "log"]) == 1
    assert FakeProcess.told == ["Name", 1]
    assert "[server] port: x is not a TCP port" in capsys.readouterr().err


def test_elsewhere(tmp_path: Path) -> None:
    """Where there is no Windows it says so in its log, and its streams are that log."""
    write_key_file(str(tmp_path / "server.key"), generate_key())
    log = tmp_path / "server.log"
    command = [
        sys.executable,
        "-m",
        "easycluster_server._command_line.windows_service",
        "Name",
        "x.ini",
        str(log),
    ]

    done = subprocess.run(command, check=False, capture_output=True, text=True)

    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")
    assert "Name is a service of Windows" in log.read_text()
