"""Hosts whose login is as a test wants it: the shell and its start-up files, the home, the environment.

All are behind one real sshd. Its key has a forced command, a script that does what sshd does for a user: it
goes to the home, makes the environment and runs the login shell with the command that the client sent. Each
test writes that script anew.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from easycluster_client import Client
from helpers import leaks
from helpers.pythons import find_pythons
from helpers.sshd import Sshd

#: What sshd runs. `env -i` takes away what the sshd of the tests has from pytest; the shell finds itself the
#: first one, as after a login.
_LOGIN = """\
#!/bin/sh
umask {umask}
cd {home} 2>/dev/null || {{ echo "Could not chdir to home directory {home}: $?" >&2; cd /; }}
{before}
exec {prefix} env -i {environment} SSH_CLIENT="$SSH_CLIENT" SSH_CONNECTION="$SSH_CONNECTION" \\
    {shell} "$SSH_ORIGINAL_COMMAND"{suffix}
"""


class Host:
    """A host whose login a test may change before it connects.

    Args:
        sshd: the sshd that it is behind, of `serve_logins`.
        folder: for the home, "home", and the only folder on PATH, "bin".

    Attributes:
        home: the home; None: the variable HOME is not set.
        env: the environment of the login shell.
        shell: the login shell and its options, up to the command.
        umask: as the shell takes it.
        before: lines of sh that are run before the login shell.
        suffix: added to the command that the client sent, such as "; exit".
        prefix: a command that runs the login shell, such as "unshare --mount".
        python: as ``rpython`` of `Client`.
    """

    def __init__(self, sshd: Sshd, folder: Path) -> None:
        self._sshd = sshd
        self.home: Path | None = folder / "home"
        self.home.mkdir()
        self.bin = folder / "bin"
        self.bin.mkdir()
        self.add_command("sh", "env", "sleep")
        self.env = {"PATH": str(self.bin), "USER": "tester", "LOGNAME": "tester"}
        self.shell = ["/bin/sh", "-c"]
        self.umask = "022"
        self.before = ""
        self.prefix = ""
        self.suffix = ""
        self.python: str | None = sys.executable

    def add_command(self, *names: str, path: str | None = None) -> None:
        """Put commands of this machine on the host's PATH; ``path``: under this name stands that one."""
        for name in names:
            target = path or shutil.which(name)
            assert target is not None, f"there is no {name}"
            (self.bin / name).symlink_to(target)

    def use_python(self, version: str, name: str = "python3") -> None:
        """Let the host have this Python, under a name that is looked for when none is asked for."""
        self.python = None
        self.add_command(name, path=find_pythons()[version])

    def use_this_python(self, name: str = "python3") -> None:
        """Let the host have the Python that runs the tests, under a name that is looked for."""
        self.python = None
        self.add_command(name, path=sys.executable)

    def write(self, name: str, text: str | bytes) -> Path:
        """Make a file in the home, and the folders above it."""
        assert self.home is not None
        path = self.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    def connect(self, **options: Any) -> Client:
        """Log in and start a server."""
        self._write_login()
        return Client(
            **{"host": "h", "ssh": True, "rpython": self.python, "extra_args": self._sshd.options, **options}
        )

    def run(self, command: str) -> subprocess.CompletedProcess[bytes]:
        """Log in and run a command."""
        self._write_login()
        return subprocess.run(
            ["ssh", *self._sshd.options, "h", command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )

    def _write_login(self) -> None:
        home = [] if self.home is None else [f"HOME={self.home}"]
        variables = [f"{name}={value}" for name, value in self.env.items()]
        mark = f"{leaks.MARK}={os.environ[leaks.MARK]}"
        text = _LOGIN.format(
            umask=self.umask,
            home=shlex.quote(str(self.home or "/")),
            before=self.before,
            prefix=self.prefix,
            suffix=shlex.quote(self.suffix) if self.suffix else "",
            environment=shlex.join([*home, f"SHELL={self.shell[0]}", mark, *variables]),
            shell=shlex.join(self.shell),
        )
        _login_of(self._sshd).write_text(text)


def _login_of(sshd: Sshd) -> Path:
    return sshd.folder / "login"


def serve_logins(run_mark: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    """A fixture's function: an sshd for hosts.

    It has a home of its own, for its shell runs the script, and would read start-up files first.
    """
    folder = tmp_path_factory.mktemp("logins")
    home = folder / "empty"
    home.mkdir()
    sshd = Sshd(folder, {leaks.MARK: run_mark, "HOME": str(home)})
    login = _login_of(sshd)
    login.touch(mode=0o755)
    key = folder / "id.pub"
    key.write_text(f'command="{login}" {key.read_text()}')
    yield sshd
    sshd.stop()


def make_host(sshd_of_logins: Sshd, tmp_path: Path, no_leaks: None) -> Host:
    """A fixture's function: a host like any other."""
    return Host(sshd_of_logins, tmp_path)
