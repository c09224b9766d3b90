"""systemd's steps, with a systemctl that only notes; tests/integration/test_systemd.py has the real one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from easycluster_server._standalone.config.kinds import Setting
from easycluster_server._standalone.config.settings import Settings
from easycluster_server._standalone.services import systemd, users
from easycluster_server._standalone.services.steps import Step, WriteKey
from easycluster_server._standalone.services.systemd import SystemdService

PROGRAM = ("/opt/x/bin/python", "-m", "easycluster")


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[int, str]]:
    """What systemctl answers, by a part of the command line; otherwise it fails."""
    known: dict[str, tuple[int, str]] = {}

    def answer(command: Sequence[str]) -> tuple[int, str]:
        line = " ".join(command)
        return next((known[part] for part in known if part in line), (1, ""))

    for module in ("systemd", "service"):
        monkeypatch.setattr(f"easycluster_server._standalone.services.{module}.run_command", answer)
    return known


def install(service: SystemdService, **given: Setting) -> list[str]:
    """The descriptions of the steps, each by its first line."""
    steps = service.install(Settings(given), "", WriteKey(service.key_path))
    return [step.describe().partition(" (mode")[0] for step in steps]


def test_installing(answers: dict[str, tuple[int, str]]) -> None:
    """The user is made, the files are written, the service is enabled; what is not wanted is removed."""
    assert [line for line in install(SystemdService(PROGRAM)) if "useradd" not in line] == [
        "make the folder /etc/easycluster",
        "run: systemctl disable --now easycluster.socket",
        "write /etc/easycluster/server.ini",
        "write a new key to /etc/easycluster/server.key",
        "remove /etc/systemd/system/easycluster.socket",
        "remove /etc/systemd/system/easycluster.service.d/strict.conf",
        "remove /etc/systemd/system/easycluster.service.d",
        "write /etc/systemd/system/easycluster.service",
        "run: systemctl daemon-reload",
        "run: systemctl enable easycluster.service",
    ]


def test_installing_everything(answers: dict[str, tuple[int, str]]) -> None:
    """Socket and drop-in come beside the service."""
    steps = install(SystemdService(PROGRAM), restart_safe=True, strict=True, service_user="ann")

    assert "run: systemctl enable easycluster.socket easycluster.service" in steps
    assert "write /etc/systemd/system/easycluster.service.d/strict.conf" in steps
    assert not any(line.startswith(("remove", "run: useradd", "run: chown")) for line in steps)


def test_old_version(answers: dict[str, tuple[int, str]]) -> None:
    """Where systemd hands over no files, the service's user owns its key; the version is that of systemctl."""
    answers["--version"] = (0, "systemd 239 (239-82.el8)")
    service = SystemdService(PROGRAM)

    assert "run: chown easycluster /etc/easycluster/server.key" in install(service)
    assert not any("chown" in line for line in install(SystemdService(PROGRAM, version=247)))
    # It may have been installed with an older systemd, and another user may get the number of the removed one.
    for version in (246, 247):
        steps = [step.describe() for step in SystemdService(PROGRAM, version=version).uninstall()]
        assert steps.index("run: chown root /etc/easycluster/server.key") < steps.index(
            "run: userdel easycluster"
        )


def test_service_of_a_user(answers: dict[str, tuple[int, str]], monkeypatch: pytest.MonkeyPatch) -> None:
    """A user's service is in the user's folders, and stays when the user logs out."""
    monkeypatch.setenv("HOME", "/home/ann")
    service = SystemdService(PROGRAM, per_user=True)
    steps = install(service)

    assert "write /home/ann/.config/systemd/user/easycluster.service" in steps
    assert steps[-2:] == ["run: systemctl --user enable easycluster.service", "run: loginctl enable-linger"]
    assert not any("useradd" in line for line in steps)
    assert [step.describe() for step in service.clean_up()] == ["run: systemctl --user daemon-reload"]
    assert service.left_over() == []
    assert "--user-unit" in service.log_hint


def performed(steps: Sequence[Step], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is run when these steps are performed."""
    ran: list[str] = []

    def note(command: Sequence[str]) -> tuple[int, str]:
        ran.append(" ".join(command))
        return 0, ""

    monkeypatch.setattr("easycluster_server._standalone.services.steps.run_command", note)
    for step in steps:
        step.perform()
    return ran


@pytest.mark.parametrize("active", [False, True])
def test_starting_and_stopping(
    answers: dict[str, tuple[int, str]], active: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A service is started if it does not run, and stopped with its socket if it does."""
    service = SystemdService(PROGRAM)
    monkeypatch.setattr(service, "_service_path", str(tmp_path))
    if active:
        answers["is-active"] = (0, "active")

    assert service.is_running() == active
    assert performed(service.start(), monkeypatch) == (
        [] if active else ["systemctl start easycluster.service"]
    )
    assert performed(service.start(again=True), monkeypatch) == ["systemctl restart easycluster.service"]
    stopped = ["systemctl stop easycluster.socket", "systemctl stop easycluster.service"]
    assert performed(service.stop(), monkeypatch) == (stopped if active else [])


def test_nothing_to_do(answers: dict[str, tuple[int, str]], monkeypatch: pytest.MonkeyPatch) -> None:
    """What is enabled, loaded and as it was is left alone."""
    answers["is-enabled"] = (0, "enabled")
    answers["NeedDaemonReload"] = (0, "NeedDaemonReload=no; NeedDaemonReload=no")

    assert performed(SystemdService(PROGRAM).register(Settings({})), monkeypatch) == []
    answers["NeedDaemonReload"] = (0, "NeedDaemonReload=no; NeedDaemonReload=yes")
    assert performed(SystemdService(PROGRAM).register(Settings({})), monkeypatch) == [
        "systemctl daemon-reload"
    ]


@pytest.mark.parametrize(
    ("per_user", "given", "problem"),
    [
        (False, {}, ""),
        (True, {"service_user": "root"}, "--service-user is for a service of the machine: leave out --user"),
        (True, {"strict": True}, "--strict is for a service of the machine: leave out --user"),
        (False, {"service_user": "no-such-user"}, "--service-user: there is no user 'no-such-user'"),
        (False, {"restart_safe": True, "port": 0}, "--restart-safe needs a port: choose one with -p"),
        (
            False,
            {"restart_safe": True, "bind": "lab2"},
            "-b: with --restart-safe it takes an IP address, and 'lab2' is none",
        ),
    ],
)
def test_problems(
    answers: dict[str, tuple[int, str]],
    per_user: bool,
    given: dict[str, Setting],
    problem: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What cannot be is said before anything is done."""
    monkeypatch.setattr(users, "find_closed_folder", lambda path: "")

    assert SystemdService(PROGRAM, per_user).find_problem(Settings(given)) == problem


def test_program_that_is_out_of_reach(
    answers: dict[str, tuple[int, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program that the service's user cannot reach is said before anything is done; another user may reach it."""
    monkeypatch.setattr(users, "find_closed_folder", lambda path: "/root")
    service = SystemdService(("/root/venv/bin/python",))

    assert "others cannot look into /root, where /root/venv/bin/python is" in service.find_problem(
        Settings({})
    )
    assert service.find_problem(Settings({"service_user": "root"})) == ""


def test_program_at_home(answers: dict[str, tuple[int, str]], monkeypatch: pytest.MonkeyPatch) -> None:
    """The strict protection hides home folders, so the program must be elsewhere."""
    service = SystemdService(("/home/ann/bin/python",))
    monkeypatch.setattr(users, "find_closed_folder", lambda path: "")

    assert service.find_problem(Settings({"strict": True})).startswith(
        "--strict hides /home/, and /home/ann/bin"
    )


def test_where_systemd_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine is managed by systemd if that has made its folder."""
    monkeypatch.setattr("os.path.isdir", lambda path: path == "/run/systemd/system")

    assert systemd.SystemdService.is_here()
