"""Programs in the place of ssh, which only note what they are given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from easycluster_client._address import Address
from easycluster_client._ssh.process import SshProcess
from helpers.waiting import wait_until

#: Notes its arguments in a file for each call, and says for -G what it was told to.
FAKE = """\
#!/bin/sh
if [ "$1" = -G ]; then
    for each; do printf '%s\\0' "$each"; done >>{folder}/asked
    cat {folder}/settings
    exit {status}
fi
for each; do printf '%s\\0' "$each"; done >>{folder}/starting
mv {folder}/starting {folder}/started
exec cat >/dev/null
"""

#: What it says for -G by itself: nothing keeps the connection alive.
NONE = "host h\nserveraliveinterval 0\nserveralivecountmax 3\n"


class FakeSsh:
    """A program in the place of ssh.

    Attributes:
        path: its path.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.path = str(folder / "ssh")
        self.configure(NONE)

    def configure(self, settings: str, status: int = 0) -> None:
        """Choose what it says for -G, and the exit status for that."""
        (self._folder / "settings").write_text(settings)
        self.write(FAKE.format(folder=self._folder, status=status))

    def write(self, script: str) -> None:
        """Choose the whole script."""
        path = Path(self.path)
        path.unlink(missing_ok=True)
        path.write_text(script)
        path.chmod(0o755)

    def asked(self) -> list[str]:
        """The arguments of the call with -G."""
        return self._arguments("asked")

    def started(self) -> list[str]:
        """The arguments of the other call."""
        wait_until((self._folder / "started").exists)
        return self._arguments("started")

    def _arguments(self, name: str) -> list[str]:
        path = self._folder / name
        return path.read_text().split("\0")[:-1] if path.exists() else []


def address(ssh: str | bool, **options: Any) -> Address:
    """Where to connect to; the host is h.

    Args:
        ssh: the program, or True.
        options: what else the address has.
    """
    plain = Address(None, "h", None, ssh, None, None, (), False)
    return plain._replace(**options)


def start_ssh(to: Address) -> SshProcess:
    """Start an ssh; whoever calls this ends it."""
    ssh = SshProcess(to)
    try:
        ssh.start()
    except BaseException:
        end_ssh(ssh)
        raise
    return ssh


def end_ssh(ssh: SshProcess) -> None:
    """End it, and close the connection."""
    ssh.kill()
    ssh.connection.close()


def pid_of(ssh: SshProcess) -> int:
    """The process id of one that was started."""
    assert ssh._process is not None
    return ssh._process.pid
