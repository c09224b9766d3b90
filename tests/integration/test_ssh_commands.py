"""Commands that start Python elsewhere, behind ssh or in its place, and fail: the error names the cause, and
neither the Python that the user named nor ssh."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from easycluster import AuthenticationError, Client, ConnectError, EasyClusterError, SpecError
from helpers.sshd import Sshd
from helpers.stand_ins import make_stand_ins

stand_in = pytest.fixture(make_stand_ins)

TERMINAL = "the command gives Python a terminal, which changes bytes; remove -t"
NO_USER = "there is no such user; check the user name in the command"
NO_CONTAINER = "there is no such container; check its name and whether it runs"
PASSWORD = "sudo, su or doas asks for a password there"


def failure(**options: Any) -> ConnectError:
    """The error with which connecting fails, sooner than by its limit."""
    began = time.monotonic()
    with pytest.raises(ConnectError) as caught:
        Client(None, **{"host": "h", "rpython": sys.executable, "connect_timeout": 600.0, **options})
    assert time.monotonic() - began < 300
    return caught.value


#: The last words of a program in the place of ssh.
FAILING = {
    "terminal": ('exec script -qec "$command" /dev/null', TERMINAL),
    "terminal without input": ('exec </dev/null script -qec "$command" /dev/null', TERMINAL),
    "no input": ('exec </dev/null sh -c "$command"', "nothing came through its standard input (docker"),
}


@pytest.mark.skipif(shutil.which("script") is None, reason="there is no script here")
@pytest.mark.parametrize("name", FAILING)
def test_real_commands(stand_in: Callable[[str], str], capfd: pytest.CaptureFixture[str], name: str) -> None:
    """A command that gives a terminal, or no input, is recognised at once."""
    script, text = FAILING[name]

    error = failure(ssh=stand_in(script))

    assert text in str(error).partition("\n")[0]
    assert str(error).startswith("cannot connect to h:22 by stand-in: ")
    assert "rpython" not in str(error)
    assert capfd.readouterr() == ("", "")


@pytest.mark.needs_sshd
def test_terminal_of_ssh(sshd: Sshd, tmp_path: Path) -> None:
    """So is a terminal that a real ssh gives, under a name that EasyCluster does not know as that of ssh."""
    (tmp_path / "through").symlink_to(shutil.which("ssh") or "")

    error = failure(ssh=str(tmp_path / "through"), extra_args=[*sshd.options, "-tt"])

    assert str(error).startswith(f"cannot connect to h:22 by through: {TERMINAL}")
    assert "rpython" not in str(error)


#: What commands print when they fail, and their status.
WORDS = {
    "docker: container": ("Error response from daemon: No such container: web", 1, NO_CONTAINER),
    "docker: stopped": (
        "Error response from daemon: container 12ab is not running",
        1,
        "the container does not run; start it first",
    ),
    "docker: user": (
        "unable to find user me: no matching entries in passwd file",
        126,
        NO_USER,
    ),
    "docker: terminal": ("the input device is not a TTY", 1, "the command is to give a terminal"),
    "docker: 28": (
        "cannot attach stdin to a TTY-enabled container because stdin is not a terminal",
        1,
        "the command is to give a terminal",
    ),
    "docker: daemon": (
        "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",
        1,
        "stand-in cannot reach its daemon or cluster",
    ),
    "docker: shell": (
        (
            'OCI runtime exec failed: exec failed: unable to start container process: exec: "sh": executable file '
            "not found in $PATH: unknown"
        ),
        127,
        "there is no such program in the container",
    ),
    "podman: container": (
        'Error: no container with name or ID "web" found: no such container',
        125,
        NO_CONTAINER,
    ),
    "podman: stopped": (
        "Error: can only create exec sessions on running containers: container state improper",
        255,
        "the container does not run; start it first",
    ),
    "kubectl: pod": ('Error from server (NotFound): pods "web" not found', 1, NO_CONTAINER),
    "kubectl: container": (
        'error: unable to upgrade connection: container not found ("web")',
        1,
        NO_CONTAINER,
    ),
    "kubectl: cluster": (
        "The connection to the server localhost:8080 was refused - did you specify the right host or port?",
        1,
        "stand-in cannot reach its daemon or cluster",
    ),
    "sudo: user": ("sudo: unknown user nobody-of-that-name", 1, NO_USER),
    "su: user": (
        "su: user me does not exist or the user entry does not contain all the required fields",
        1,
        NO_USER,
    ),
    "runuser: user": ("runuser: user me does not exist", 1, NO_USER),
    "runuser: not root": (
        "runuser: may not be used by non-root users",
        1,
        "the user of the login may not run this command as another user there",
    ),
    "doas: terminal": ("doas: a tty is required", 1, PASSWORD),
    "doas: rights": (
        "doas: Operation not permitted",
        1,
        "the user of the login may not run this command as another user there",
    ),
    "lxc, which is unknown": (
        "Error: Instance not found",
        1,
        "stand-in ended with status 1 before our code ran",
    ),
}


@pytest.mark.parametrize("name", WORDS)
def test_words(stand_in: Callable[[str], str], name: str) -> None:
    """Containers, pods and users that do not exist are recognised by the words of the commands."""
    words, status, text = WORDS[name]

    error = failure(ssh=stand_in(f"echo {shlex.quote(words)} >&2; exit {status}"))

    first, _, quoted = str(error).partition("\n")
    assert first.startswith(f"cannot connect to h:22 by stand-in: {text}")
    assert quoted == f"stand-in printed:\n    {words}"
    assert "rpython" not in str(error)


@pytest.mark.parametrize(
    "options",
    [{"rpython": "sudo -S python3"}, {"ssh": shutil.which("sudo") or "sudo", "extra_args": ["-S", "ssh"]}],
    ids=["rpython", "ssh"],
)
def test_sudo_that_reads_our_code(options: dict[str, Any]) -> None:
    """A sudo that would take our code for passwords is not even started."""
    if shutil.which(str(options.get("ssh", "true"))) is None:
        pytest.skip("there is no sudo here")

    with pytest.raises(SpecError, match=r"cannot use sudo -S: .*; write sudo -n, and allow the command"):
        Client(None, "h", **{"ssh": True, **options})


@pytest.mark.parametrize("rpython", ["-x", " ", "a\nb"])
def test_rpython_that_is_no_command(rpython: str) -> None:
    """The error for one that cannot be used is one of ours, and names it."""
    with pytest.raises(
        SpecError, match="rpython cannot be used: the command for the remote Python"
    ) as caught:
        Client(None, "h", ssh=True, rpython=rpython)

    assert isinstance(caught.value, (EasyClusterError, ValueError))


@pytest.mark.needs_sshd
@pytest.mark.skipif(shutil.which("sudo") is None or os.getuid() != 0, reason="needs sudo and root")
def test_real_sudo(sshd: Sshd, monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind a real ssh the words of a real sudo are recognised, and sudo -n works."""
    python = shlex.quote(sys.executable)

    error = failure(ssh=True, extra_args=sshd.options, rpython=f"sudo -n -u nobody-of-that-name {python}")

    assert str(error).startswith(f"cannot connect to h:22 by SSH: {NO_USER}\nssh printed:\n    sudo: ")
    with Client(None, "h", ssh=True, extra_args=sshd.options, rpython=f"sudo -n {python}") as client:
        assert client.eval("6 * 7") == 42


@pytest.mark.needs_sshd
@pytest.mark.skipif(shutil.which("su") is None or os.getuid() != 0, reason="needs su and root")
def test_real_su(sshd: Sshd) -> None:
    """Root's su works: it asks for no password."""
    rpython = f"su root -s {shlex.quote(sys.executable)}"
    with Client(None, "h", ssh=True, extra_args=sshd.options, rpython=rpython) as client:
        assert client.eval("6 * 7") == 42


def test_passwords_are_authentication(stand_in: Callable[[str], str]) -> None:
    """A command that asks for a password is an `AuthenticationError`: trying again is of no use."""
    error = failure(ssh=stand_in("echo 'sudo: a password is required' >&2; exit 1"))

    assert isinstance(error, AuthenticationError)
    assert PASSWORD in str(error)
