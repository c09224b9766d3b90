"""The script of OpenRC; tests/integration/test_init_scripts.py installs it with the programs of OpenRC."""

from __future__ import annotations

import subprocess

import pytest

from easycluster_server._standalone.config.settings import Settings
from easycluster_server._standalone.services import openrc
from easycluster_server._standalone.services.openrc import OpenrcService
from helpers.shellcheck import check_script

PROGRAM = ("/opt/my 'python'", "-m", "easycluster")


def make_text(**settings: str) -> str:
    """The script that is written for these settings."""
    (file,) = OpenrcService(PROGRAM).files(Settings(settings))
    assert file.mode == 0o755
    return file.content


def test_lint() -> None:
    """Shellcheck finds nothing, but that OpenRC reads the variables."""
    check_script(make_text().replace("#!/sbin/openrc-run", "#!/bin/sh"), "SC2034")


def test_words_of_the_command() -> None:
    """What OpenRC runs is what serves, each word as it was."""
    printed = subprocess.run(
        ["sh", "-c", make_text() + "\neval set -- $command_args\n" + 'printf "%s\\n" "$command" "$@"'],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout

    assert tuple(printed.splitlines()) == OpenrcService(PROGRAM).serve_command


def test_user() -> None:
    """It runs as the user of the settings, or else as one of its own."""
    assert "command_user=easycluster\n" in make_text()
    assert "command_user=bob\n" in make_text(service_user="bob")


@pytest.mark.parametrize(("tools", "first"), [({"adduser"}, "addgroup"), ({"adduser", "useradd"}, "useradd")])
def test_users_of_alpine(tools: set[str], first: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no useradd, the user is made as on Alpine Linux."""
    monkeypatch.setattr("shutil.which", lambda name: name if name in tools else None)

    steps = OpenrcService(PROGRAM).prepare(Settings({}))

    assert steps[0].describe().startswith(f"run: {first} ")


def test_runlevel(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is added to its runlevel unless it is there, and not found by a part of another name."""
    for shown, ran in ((" easycluster | default", ""), (" easycluster-old | default", "ran")):
        monkeypatch.setattr(openrc, "run_command", lambda command, shown=shown: (0, shown))
        monkeypatch.setattr(
            "easycluster_server._standalone.services.steps.run_command", lambda command: (0, "")
        )
        (step,) = OpenrcService(PROGRAM).enable()
        assert step.perform()[:3] == ran
