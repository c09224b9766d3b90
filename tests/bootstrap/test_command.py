from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys

import pytest

from bootstrap.conftest import PYTHONS, Host
from easycluster_bootstrap import remote_command

SHELLS = [
    shell
    for shell in ("sh", "bash", "busybox", "csh", "dash", "fish", "ksh", "mksh", "tcsh", "yash", "zsh")
    if shell in ("sh", "bash") or shutil.which(shell)
]

ECHO = """
import os
def main(config):
    os.write(1, config + os.read(0, 100))
"""


def quoted(command: str) -> list[str]:
    """Returns the parts of a command that stand within single quotes."""
    return command.split("'")[1::2]


@pytest.mark.parametrize("given", [None, "python3", "sudo -n python3", "su app -s /usr/bin/python3"])
def test_command_means_the_same_to_every_shell(given: str | None) -> None:
    """Nothing within the single quotes is special to any shell, and no word is too long for an old csh."""
    command = remote_command(given)

    assert command.isascii()
    assert command.isprintable()
    assert not set("!\\`'") & set("".join(quoted(command)))
    assert all(len(part) < 1000 for part in quoted(command))


def test_given_python_is_passed_as_written() -> None:
    """A given command for Python is not quoted: it can hold arguments or be a path in the home folder."""
    assert remote_command("sudo -n python3").startswith("sudo -n python3 -c '")
    assert remote_command("~/bin/python3").endswith("' ~/bin/python3")


BAD_COMMANDS = {
    "empty": "",
    "blank": "  ",
    "line feed": "python3\nreboot",
    "carriage return": "python3\r",
    "NUL": "python3\0",
    "option": "-oProxyCommand=x",
}


@pytest.mark.parametrize("given", BAD_COMMANDS.values(), ids=BAD_COMMANDS)
def test_python_that_cannot_be_one_command_is_refused(given: str) -> None:
    """A text that would end the command line, or be an option of ssh, is refused and named in the error."""
    with pytest.raises(ValueError, match="remote Python") as caught:
        remote_command(given)

    assert repr(given) in str(caught.value)


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    "given", [None, sys.executable, f"env {sys.executable}"], ids=["search", "path", "words"]
)
def test_runs_under_every_login_shell(host: Host, shell: str, given: str | None) -> None:
    """Whatever the login shell, the entry gets its config and the bytes that follow."""
    folder = host.home / "bin"
    folder.mkdir()
    (folder / "python3").symlink_to(sys.executable)
    host.env["PATH"] = f"{folder}{os.pathsep}{os.environ['PATH']}"
    path = shutil.which(shell)
    assert path is not None
    if shell == "busybox":
        (folder / "sh").symlink_to(path)
        path = str(folder / "sh")

    outcome = host.start(given, ECHO, config=b"<cfg>", then=b"<rest>", shell=path)

    assert (outcome.status, outcome.output, outcome.errors) == (0, b"<cfg><rest>", "")


def only_on_path(host: Host, *names: str) -> None:
    """Gives the host a PATH with sh and, by these names, Pythons that print their name and stop."""
    folder = host.home / "bin"
    host.write("bin/x", "")
    sh = shutil.which("sh")
    assert sh is not None
    (folder / "sh").symlink_to(sh)
    for name in names:
        host.write(f"bin/{name}", f"#!{sh}\necho {name} $1\n")
        (folder / name).chmod(0o755)
    host.env["PATH"] = str(folder)


def test_search_order(host: Host) -> None:
    """python3 is tried first, python last, and between them the one that RHEL 8 keeps for itself."""
    command = remote_command()
    assert command.split("'")[-1] == " python3 /usr/libexec/platform-python python"

    only_on_path(host, "python", "python3")
    assert host.shell(command, shell=str(host.home / "bin/sh")).stdout == b"python3 -c\n"

    (host.home / "bin/python3").unlink()
    command = command.replace("/usr/libexec", "/nowhere")
    assert host.shell(command, shell=str(host.home / "bin/sh")).stdout == b"python -c\n"


def test_host_without_python_is_named(host: Host) -> None:
    """A host without the Python asked for ends with status 127 and one line that names the commands it looked for."""
    only_on_path(host)

    result = host.shell(remote_command("python3.99"), shell=str(host.home / "bin/sh"))

    message = "EasyCluster found no Python on the host; it looked for: python3.99\n"
    assert (result.returncode, result.stderr.decode()) == (127, message)


def test_old_python_is_named(host: Host, old_python: str | None) -> None:
    """A Python that is too old says so in one line, with its path and version, and ends with status 1."""
    path, version = old_python, next((name for name, path in PYTHONS.items() if path == old_python), "2.7.18")
    command = remote_command(path)
    if path is None:
        path = sys.executable
        pretend = "import sys; sys.version_info = (2, 7, 18, 'final', 0); exec(sys.argv[1])"
        line = shlex.split(remote_command("env python"))[3]
        command = shlex.join([path, "-c", pretend, line])

    result = host.shell(command)

    assert result.returncode == 1
    assert result.stdout == b""
    assert result.stderr.decode() == (
        f"EasyCluster needs Python 3.6 or newer on the host; {path} is Python {version}\n"
    )


@pytest.mark.parametrize("command", ["su", "bin/su"])
@pytest.mark.parametrize("user", [0, 1000])
def test_su_reads_no_password(host: Host, python: str, user: int, command: str) -> None:
    """Only root's su asks for no password; any other would take our code for one, and is not run."""
    host.write("bin/id", f"#!/bin/sh\necho {user}\n")
    host.write("bin/su", f'#!/bin/sh\necho "$1 runs" >&2; shift; exec {shlex.quote(python)} "$@"\n')
    for name in ("id", "su"):
        (host.home / "bin" / name).chmod(0o755)
    host.env["PATH"] = f"{host.home}/bin:{os.defpath}"

    outcome = host.start(f"{command} app", ECHO, config=b"config", then=b"input")

    if user:
        assert outcome.errors.startswith("EasyCluster: su would take the code on its standard input")
    else:
        assert outcome.errors == "app runs\n"
        assert outcome.output == b"configinput"


def test_terminals_are_refused(host: Host, python: str) -> None:
    """A standard input that is a terminal would change our bytes: nothing is read from it."""
    ours, theirs = os.openpty()
    with open(ours, "wb"), open(theirs, "rb") as terminal:
        done = subprocess.run(
            ["/bin/sh", "-c", remote_command(python)], stdin=terminal, capture_output=True, check=False
        )

    assert (done.returncode, done.stderr) == (1, b"EasyCluster got a terminal as its standard input\n")
