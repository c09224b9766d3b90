"""The script of FreeBSD. There is no FreeBSD here: a stand-in for rc.subr says what it would run."""

from __future__ import annotations

import getpass
import subprocess
from pathlib import Path

import pytest

from easycluster_server._standalone.config.settings import Settings
from easycluster_server._standalone.services import rcd
from easycluster_server._standalone.services.rcd import RcdService
from helpers.shellcheck import check_script

#: It reads variables and evaluates the command as the real one does.
RC_SUBR = """\
load_rc_config() { easycluster_enable=YES; }
run_rc_command() {
    [ "$1" != faststart ] || return 1
    $start_precmd || return 1
    eval set -- "$command $command_args"
    printf '%s\\n' "$@"
}
"""

PROGRAM = ("/opt/my 'python'", "-m", "easycluster")


def make_text(**settings: str) -> str:
    """The script that is written for these settings."""
    (file,) = RcdService(PROGRAM).files(Settings(settings))
    assert file.mode == 0o755
    return file.content


def test_lint() -> None:
    """Shellcheck finds nothing, but that rc.subr is not here and reads the variables."""
    check_script(make_text(), "SC1091", "SC2034")


def test_what_daemon_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command of daemon(8) ends with what serves, each word as it was, and the log belongs to the user."""
    rc_subr, log = tmp_path / "rc.subr", tmp_path / "server.log"
    rc_subr.write_text(RC_SUBR)
    monkeypatch.setattr(RcdService, "log_path", str(log))
    text = make_text(service_user=getpass.getuser()).replace(". /etc/rc.subr", f". {rc_subr}")

    done = subprocess.run(
        ["sh", "-c", text, "easycluster", "start"], check=True, stdout=subprocess.PIPE, text=True
    )

    words = done.stdout.splitlines()
    serve = list(RcdService(PROGRAM).serve_command)
    assert words[0] == "/usr/sbin/daemon"
    assert words[-len(serve) :] == serve
    assert words[words.index("-u") + 1] == getpass.getuser()
    assert words[words.index("-o") + 1] == str(log)
    assert log.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("said", "enables", "disables"), [("YES", False, True), ("NO", True, True), ("", True, False)]
)
def test_rc_conf(said: str, enables: bool, disables: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The line of rc.conf is written and removed where that changes something."""
    monkeypatch.setattr(rcd, "run_command", lambda command: (0, said) if said else (1, "unknown variable"))
    monkeypatch.setattr("easycluster_server._standalone.services.steps.run_command", lambda command: (0, ""))
    service = RcdService(PROGRAM)

    assert service.enable()[0].perform() == ("ran: sysrc easycluster_enable=YES" if enables else "")
    assert service.unregister()[-1].perform() == ("ran: sysrc -x easycluster_enable" if disables else "")
