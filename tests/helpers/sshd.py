"""A real sshd on 127.0.0.1 with keys and configuration of its own, for one run of the tests."""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path

from helpers.children import start
from helpers.waiting import PATIENCE, wait_until

_SSHD_CONFIG = """\
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/hostkey
PidFile none
AuthorizedKeysFile {folder}/id.pub
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin yes
PrintMotd no
PrintLastLog no
UseDNS no
MaxStartups {max_startups}
MaxSessions 200
LogLevel ERROR
{environment}
"""

# The key exchange that costs the least; HostKeyAlias makes the one known key right for every name.
_SSH_CONFIG = """\
Host *
  HostName 127.0.0.1
  Port {port}
  User {user}
  IdentityFile {folder}/id
  IdentitiesOnly yes
  IdentityAgent none
  HostKeyAlias easycluster-test
  UserKnownHostsFile {folder}/known_hosts
  GlobalKnownHostsFile /dev/null
  StrictHostKeyChecking yes
  KexAlgorithms curve25519-sha256
  BatchMode yes
  LogLevel ERROR
"""


class Sshd:
    """A running sshd; every host name leads to it.

    Args:
        folder: for its keys, configuration and log.
        environment: variables that its sessions get.
        max_startups: how many connections may wait for their login, as sshd's option.

    Attributes:
        config: the path of an ssh configuration, for ``ssh -F``.
        port: its TCP port.
        pid: its process id.
    """

    def __init__(
        self, folder: Path, environment: dict[str, str] | None = None, max_startups: str = "200:30:400"
    ) -> None:
        folder.chmod(0o700)
        self.folder = folder
        self.config = folder / "ssh_config"
        for name in ("hostkey", "id"):
            subprocess.run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True
            )
        host_key = " ".join((folder / "hostkey.pub").read_text().split()[:2])
        (folder / "known_hosts").write_text(f"easycluster-test {host_key}\n")
        if os.geteuid() == 0:
            os.makedirs("/run/sshd", mode=0o755, exist_ok=True)  # compiled into sshd
        settings = "".join(f' "{name}={value}"' for name, value in (environment or {}).items())
        self._environment = f"SetEnv{settings}" if settings else ""
        self._max_startups = max_startups
        self.port = 0
        self._process = self._start()
        self.pid = self._process.pid

    @property
    def options(self) -> list[str]:
        """The options with which ssh reaches it, as for ``extra_args``."""
        return ["-F", str(self.config)]

    def _start(self) -> subprocess.Popen[bytes]:
        # Somebody may take the port between our look and sshd's, so try a few times.
        for _ in range(10):
            self.port = free_port()
            process = self._start_on(self.port)
            wait_until(lambda process=process: process.poll() is not None or _accepts(self.port))  # type: ignore[misc]
            if process.poll() is None:
                return process
        raise AssertionError(f"sshd does not start: {(self.folder / 'sshd.log').read_text()}")

    def _start_on(self, port: int) -> subprocess.Popen[bytes]:
        values = {
            "port": port,
            "folder": self.folder,
            "user": getpass.getuser(),
            "environment": self._environment,
            "max_startups": self._max_startups,
        }
        (self.folder / "sshd_config").write_text(_SSHD_CONFIG.format(**values))
        self.config.write_text(_SSH_CONFIG.format(**values))
        # sshd starts itself anew for each connection, so it wants its full path.
        program = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
        assert program is not None, "the marker needs_sshd leaves out what needs it"
        with (self.folder / "sshd.log").open("ab") as log:
            return start(
                [program, "-D", "-e", "-f", str(self.folder / "sshd_config")],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def stop(self) -> None:
        """End it. Its sessions end with their clients."""
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(PATIENCE)


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody used just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _accepts(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False
