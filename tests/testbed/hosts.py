"""Hosts of a test, each with its own network, processes, files, sshd and standalone server, on this machine.

A `Host` is linked with this machine by a cable in user space (`testbed.cable`), on which faults are produced. Everything
ends with the test run, even when that is killed: the namespaces with their first process, the devices with the cable.
A test that uses it is marked with needs_hosts.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from types import TracebackType

from helpers.children import start
from helpers.servers import COMMAND
from helpers.waiting import PATIENCE, wait_until

ROOT = Path(__file__).parents[2]
CABLE = Path(__file__).with_name("cable.py")
#: Where the standalone server of a host listens.
PORT = 7177
#: Of the addresses that are set apart for tests of networks, each host takes four.
NETWORK = "198.18"
MOST_HOSTS = 1 << 14

#: Runs in namespaces of its own, which end with it; the place of its files is in memory. Of this machine's folders the
#: host sees the system's, and those that are named: this checkout, a Python, its own keys.
_BOOT = r"""
set -e
place=$1 name=$2 keys=$3
shift 3
hostname "$name"
mount -t tmpfs -o mode=755 tmpfs "$place"
cd "$place"
mkdir upper work root
mount -t overlay overlay -o lowerdir=/,upperdir=upper,workdir=work root
for folder in tmp root run home mnt var/tmp; do
    mount -t tmpfs -o mode=755 tmpfs root/$folder
done
chmod 1777 root/tmp root/var/tmp
mkdir root/run/sshd
mount -t proc proc root/proc
mount --rbind /dev root/dev
for folder in "$keys" "$@"; do
    mkdir -p "root$folder"
    mount --bind "$folder" "root$folder"
done
cd root
pivot_root . mnt
exec chroot . /bin/sh -c '
    umount -l /mnt
    "$1" -f "$2/sshd_config" -E "$2/sshd.log"
    : >/run/up
    while :; do sleep 86400 & wait $!; done' sh "$(PATH=$PATH:/usr/sbin command -v sshd)" "$keys"
"""

_SSHD_CONFIG = """\
Port 22
HostKey {folder}/hostkey
PidFile /run/sshd.pid
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
"""

_SSH_CONFIG = """\
Host *
  HostName {address}
  User root
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


class Host:
    """A running host; a context manager.

    Args:
        folder: an empty folder, for its keys and logs.
        python: the interpreter that it has beside the system's; that of the tests unless given.
        max_startups: of its sshd, as sshd's option.

    Attributes:
        address: its IP address.
        ssh_config: the contents of a configuration of ssh that leads every name to it.
        ssh_options: the options with which ssh reaches it, as for ``extra_args``.
        leader: the id of its first process, as this machine counts.
    """

    def __init__(self, folder: Path, python: str = sys.executable, max_startups: str = "200:30:400") -> None:
        self._folder = folder.resolve()
        self._claim, number = _claim_number()
        base = f"{NETWORK}.{number // 64}.{number % 64 * 4}".rpartition(".")
        first = int(base[2])
        self._outside, self.address = (f"{base[0]}.{first + offset}" for offset in (1, 2))
        self._name = f"host{number}"
        self._server: subprocess.Popen[bytes] | None = None
        prefix = subprocess.run(
            [python, "-c", "import sys; print(sys.base_prefix)"], check=True, capture_output=True, text=True
        )
        self._visible = [str(ROOT), prefix.stdout.strip()]
        _make_keys(self._folder, self.address, max_startups)
        self.ssh_config = (self._folder / "ssh_config").read_text()
        self.ssh_options = ["-F", str(self._folder / "ssh_config")]
        self._cable = start(
            [sys.executable, "-I", "-S", str(CABLE), f"ectest{number}", f"{self._outside}/30"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        try:
            self._await_cable()
            self._boot()
        except BaseException:
            self.end()
            raise

    def __enter__(self) -> Host:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def _boot(self) -> None:
        unshare = shutil.which("unshare")
        assert unshare is not None
        place = self._folder / "place"
        place.mkdir(exist_ok=True)
        kinds = ["--mount", "--uts", "--ipc", "--net", "--pid", "--fork", "--kill-child"]
        with (self._folder / "boot.log").open("ab") as log:
            self._process = start(
                [
                    unshare,
                    *kinds,
                    "sh",
                    "-c",
                    _BOOT,
                    "sh",
                    str(place),
                    self._name,
                    str(self._folder),
                    *self._visible,
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.leader = wait_until(self._find_leader, what="the first process of a host")
        self._tell(f"plug {self.leader} {self.address}/30")
        wait_until(self._is_up, what="a host")

    def _find_leader(self) -> int:
        self._assert_running()
        for pid in _children(self._process.pid):
            with contextlib.suppress(OSError):
                if Path(f"/proc/{pid}/comm").read_text() == "sh\n":
                    return pid
        return 0

    def _is_up(self) -> bool:
        self._assert_running()
        return Path(f"/proc/{self.leader}/root/run/up").exists()

    def _assert_running(self) -> None:
        assert self._process.poll() is None, (self._folder / "boot.log").read_text()

    def end(self) -> None:
        """End it with all that runs there."""
        if hasattr(self, "_process"):
            self._power_off()
        assert self._cable.stdin is not None
        assert self._cable.stdout is not None
        self._cable.stdin.close()
        self._cable.wait(PATIENCE)
        self._cable.stdout.close()
        self._claim.close()

    def _power_off(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.leader, signal.SIGKILL)
        self._process.wait(PATIENCE)
        self._forget_server()

    def _forget_server(self) -> None:
        if self._server is not None:
            self._server.kill()  # nsenter may have stopped itself, as its child was
            self._server.wait(PATIENCE)
            self._server = None

    # What runs there.

    def enter(self, *command: object) -> list[str]:
        """Return the command that runs ``command`` there, as root, without a connection."""
        nsenter = shutil.which("nsenter")
        assert nsenter is not None
        return [nsenter, "-t", str(self.leader), "--all", *map(str, command)]

    def run(self, *command: object) -> str:
        """Run a command there, and return what it prints."""
        result = subprocess.run(
            self.enter(*command), check=True, capture_output=True, text=True, timeout=PATIENCE
        )
        return result.stdout

    def serve(self, key_file: Path, *arguments: object) -> None:
        """Start a standalone server there, or start it again; returns when it listens.

        Args:
            key_file: is copied there.
            arguments: beside those that say where it listens.
        """
        log_file = self._folder / "server.log"
        shutil.copy(key_file, self._folder / "secret.key")
        words = [COMMAND, "-S", "-k", self._folder / "secret.key", "-b", "0.0.0.0", "-p", PORT, *arguments]
        with log_file.open("wb") as log:
            # It would outlive a run that is killed while the host is stopped, as it has stopped itself then.
            self._server = start(
                self.enter(*words), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        server = self._server
        wait_until(lambda: "listens on" in log_file.read_text() or server.poll() is not None)
        assert server.poll() is None, log_file.read_text()

    def processes(self) -> dict[int, str]:
        """The processes that run there but for the first: from the id that this machine knows to the command line."""
        own = os.readlink(f"/proc/{self.leader}/ns/pid")
        found = {}
        for name in os.listdir("/proc"):
            with contextlib.suppress(OSError):
                if name.isdigit() and int(name) != self.leader and os.readlink(f"/proc/{name}/ns/pid") == own:
                    line = Path("/proc", name, "cmdline").read_bytes().replace(b"\0", b" ")
                    found[int(name)] = line.decode(errors="replace").strip()
        return found

    # Faults.

    def cut(self, there: bool = True, back: bool = True) -> None:
        """Drop all that is sent, without a word; only in one direction unless both are given."""
        self._tell(f"pass {int(not there)} {int(not back)}")

    def heal(self) -> None:
        """Let everything pass again."""
        self._tell("pass 1 1")

    def delay(self, seconds: float) -> None:
        """Let everything take that much longer in each direction."""
        self._tell(f"delay {seconds}")

    def lose(self, share: float) -> None:
        """Lose that share of the packets, chosen alike in each run."""
        self._tell(f"loss {share}")

    def limit(self, bits: float) -> None:
        """Let so many bits pass in a second; 0: all."""
        self._tell(f"rate {bits}")

    def refuse(self) -> None:
        """End what listens there, so that new connections are reset; those that are open go on."""
        sshd = Path(f"/proc/{self.leader}/root/run/sshd.pid").read_text().strip()
        self.run("kill", "-KILL", sshd)
        if self._server is not None:
            for pid in _children(self._server.pid):
                os.kill(pid, signal.SIGKILL)
            self._forget_server()

    def accept(self) -> None:
        """Let sshd listen again."""
        sshd = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
        self.run(sshd, "-f", self._folder / "sshd_config", "-E", self._folder / "sshd.log")

    def freeze(self) -> None:
        """Stop every process there; its kernel still acknowledges what it gets."""
        stopped: set[int] = set()
        while new := self.processes().keys() - stopped:  # one that is started meanwhile is stopped, too
            for pid in new:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGSTOP)
            stopped |= new

    def thaw(self) -> None:
        """Let them all go on."""
        nsenter = (
            [] if self._server is None else [self._server.pid]
        )  # it has stopped itself, as its child was
        for pid in [*self.processes(), *nsenter]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def crash(self) -> None:
        """Cut the power: nothing there sends anything any more, and all its processes are gone."""
        self.cut()
        self._power_off()

    def boot(self) -> None:
        """Boot it after a crash, with the same address and empty folders; only sshd runs then."""
        self._boot()
        self.heal()

    def _tell(self, command: str) -> None:
        assert self._cable.stdin is not None
        self._cable.stdin.write(f"{command}\n".encode())
        self._cable.stdin.flush()
        self._await_cable()

    def _await_cable(self) -> None:
        assert self._cable.stdout is not None
        assert self._cable.stdout.readline() == b"done\n", (
            "the cable has ended, its errors are on standard error"
        )


def _claim_number() -> tuple[socket.socket, int]:
    """A number that no other host of this machine has, whoever tests; it is free again when the socket is closed."""
    for number in range(os.getpid() % MOST_HOSTS, MOST_HOSTS):
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0easycluster-testbed-{number}")
        except OSError:
            claim.close()
        else:
            return claim, number
    raise AssertionError("all numbers of hosts are in use")


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _make_keys(folder: Path, address: str, max_startups: str) -> None:
    folder.chmod(0o700)
    for name in ("hostkey", "id"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    host_key = " ".join((folder / "hostkey.pub").read_text().split()[:2])
    (folder / "known_hosts").write_text(f"easycluster-test {host_key}\n")
    values = {"folder": folder, "address": address, "max_startups": max_startups}
    (folder / "sshd_config").write_text(_SSHD_CONFIG.format(**values))
    (folder / "ssh_config").write_text(_SSH_CONFIG.format(**values))
