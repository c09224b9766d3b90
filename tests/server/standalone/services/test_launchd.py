"""The property list of launchd. There is no macOS here: it is read back, and launchctl's words are given."""

from __future__ import annotations

import getpass
import plistlib
from pathlib import Path

import pytest

from easycluster_server._standalone.config.settings import Settings
from easycluster_server._standalone.services import launchd
from easycluster_server._standalone.services.launchd import LaunchdService, make_job

PROGRAM = ("/opt/a & b/python", "-m", "easycluster")

#: Of `launchctl print` on macOS 14, shortened: one line for each piece, as `run_command` gives them.
PRINTED = "system/easycluster.server = {; active count = 1; path = /Library/x.plist; state = running; }"


@pytest.mark.parametrize("per_user", [False, True])
def test_property_list(per_user: bool) -> None:
    """What is written is read back as the job; only a daemon of the machine names a user."""
    service = LaunchdService(PROGRAM, per_user)
    (file,) = service.files(Settings({"service_user": "bob"}))

    job = plistlib.loads(file.content.encode())

    assert job == make_job(service.serve_command, service.log_hint, "" if per_user else "bob")
    assert job.get("UserName") == (None if per_user else "bob")
    assert job["ProgramArguments"] == [*PROGRAM, "-S", "--config", service.config_path]
    assert job["RunAtLoad"] is True
    assert job["KeepAlive"] == {"SuccessfulExit": False}
    assert file.path.endswith(".plist")
    assert file.path.startswith(str(Path.home()) if per_user else "/Library/LaunchDaemons/")


def test_users() -> None:
    """A daemon needs the name of a user that exists; an agent has its user."""
    daemon, agent = LaunchdService(PROGRAM), LaunchdService(PROGRAM, per_user=True)

    assert "name one with --service-user" in daemon.find_problem(Settings({}))
    assert "no user 'nobody-here'" in daemon.find_problem(Settings({"service_user": "nobody-here"}))
    assert "leave out --user" in agent.find_problem(Settings({"service_user": "bob"}))
    assert "not for services of launchd" in agent.find_problem(Settings({"strict": True}))
    assert daemon.find_problem(Settings({"service_user": getpass.getuser()})) == ""
    assert agent.find_problem(Settings({})) == ""


class Launchctl:
    """Answers as launchctl does.

    Args:
        answers: by subcommand, a status and what is printed; without one it succeeds and prints nothing.
    """

    def __init__(self, **answers: tuple[int, str]) -> None:
        self._answers = answers
        self.ran: list[str] = []

    def __call__(self, command: tuple[str, ...]) -> tuple[int, str]:
        self.ran.append(command[1])
        return self._answers.get(command[1].replace("-", "_"), (0, ""))


@pytest.mark.parametrize(
    ("printed", "started", "again"),
    [
        ((113, "Could not find service"), ["bootstrap", "kickstart"], ["bootstrap", "kickstart"]),
        ((0, PRINTED.replace("running", "waiting")), ["kickstart"], ["bootout", "kickstart"]),
        ((0, PRINTED), [], ["bootout"]),
    ],
)
def test_start(
    printed: tuple[int, str], started: list[str], again: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is loaded if launchd does not know it, started if it does not run, and unloaded to read its file again."""
    for restart, expected in ((False, started), (True, again)):
        launchctl = Launchctl(print=printed)
        monkeypatch.setattr(launchd, "run_command", launchctl)
        monkeypatch.setattr("easycluster_server._standalone.services.steps.run_command", launchctl)

        for step in LaunchdService(PROGRAM).start(restart):
            step.perform()

        assert [verb for verb in launchctl.ran if verb != "print"] == expected


@pytest.mark.parametrize("said", ["=> true", "=> disabled", "=> enabled"])
def test_enable(said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service that was disabled by hand is enabled, which older and newer systems tell in other words."""
    launchctl = Launchctl(print_disabled=(0, f'disabled services = {{; "easycluster.server" {said}; }}'))
    monkeypatch.setattr(launchd, "run_command", launchctl)
    monkeypatch.setattr("easycluster_server._standalone.services.steps.run_command", launchctl)

    for step in LaunchdService(PROGRAM, per_user=True).register(Settings({})):
        step.perform()

    assert ("enable" in launchctl.ran) == (said != "=> enabled")
