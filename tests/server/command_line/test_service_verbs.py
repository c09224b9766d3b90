"""``--start``, ``--stop``, ``--query-installed`` and ``--status``: what they do and their exit statuses."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from easycluster_server._command_line import main, service_verbs
from easycluster_server._standalone.services.steps import Run
from helpers.fake_service import FakeService


def test_statuses(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The exit statuses tell whether the service is installed, and whether it runs."""

    def ask() -> tuple[int, int]:
        return main(["--query-installed"]), main(["--status"])

    assert ask() == (1, 4)
    assert "no service of this machine is installed (fake)" in capsys.readouterr().out
    main(["--install"])
    assert ask() == (0, 3)
    assert "the service of this machine does not run (fake)" in capsys.readouterr().out
    main(["--start"])
    assert ask() == (0, 0)
    said = capsys.readouterr().out
    assert "the service of this machine runs (fake)" in said
    assert f"settings: {place / 'etc' / 'server.ini'}" in said


@pytest.mark.parametrize("verb", ["--start", "--stop"])
def test_not_installed(place: Path, verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What is not installed is neither started nor stopped."""
    assert main([verb]) == 1
    assert capsys.readouterr().err == "easycluster: no service is installed; first: easycluster --install\n"
    assert list(place.iterdir()) == []


def test_twice(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Starting one that runs, and stopping one that does not, is said and is no error."""
    main(["--install", "--start"])
    (place / "running").write_text("running\n")

    assert main(["--start"]) == 0
    assert "it runs already" in capsys.readouterr().out
    assert (main(["--stop"]), (place / "running").exists()) == (0, False)
    assert main(["--stop"]) == 0
    assert "it does not run" in capsys.readouterr().out


@pytest.mark.parametrize(("verb", "said"), [("--start", "write "), ("--stop", "remove ")])
def test_dry_run(place: Path, verb: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A dry run says what would be done."""
    assert main([verb, "--dry-run", "--system", "fake"]) == 0
    assert capsys.readouterr().out.startswith(said)
    assert list(place.iterdir()) == []


def test_failing_start(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The error of a service that does not start says where the reason is."""
    main(["--install"])
    monkeypatch.setattr(FakeService, "start", lambda service, again=False: [Run("false")])

    assert main(["--start"]) == 1
    assert capsys.readouterr().err.endswith("; for the reason see: less log\n")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            "--start --system fake",
            "this machine has no fake; add --dry-run to see what would be done there",
        ),
        ("--status --user", "--user: fake has no services of users"),
    ],
)
def test_other_systems(
    place: Path,
    words: str,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What this system does not have is an error of usage."""
    monkeypatch.setattr(FakeService, "is_here", lambda: False)
    monkeypatch.setattr(FakeService, "has_users", False)

    assert main(words.split()) == 2
    assert capsys.readouterr().err == f"easycluster: {message}\n"


def test_unknown_system(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A machine without any known service manager has no service, and gets the list of those that can be shown."""
    monkeypatch.setattr(service_verbs, "find_system", lambda: None)

    assert main(["--query-installed"]) == 1
    assert capsys.readouterr().err == ""
    assert main(["--status"]) == 4
    assert "no service is installed; no manager of services" in capsys.readouterr().out
    assert main(["--install"]) == 2
    said = capsys.readouterr().err
    assert "serve with easycluster -S -k FILE" in said
    assert "NAME is one of systemd" in said


@pytest.mark.parametrize("finds", [True, False])
def test_program(finds: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A service's Python imports nothing from the folder where it works, if it finds this package without that."""
    asked = (sys.executable, "-I", "-m", "easycluster", "--version")
    monkeypatch.setattr(
        service_verbs, "run_command", lambda command: (int(not (command == asked and finds)), "")
    )

    assert main(["--install", "--dry-run", "--system=systemd"]) == 0
    isolated = " -I" if finds else ""
    assert f"ExecStart={sys.executable}{isolated} -m easycluster -S --config " in capsys.readouterr().out
