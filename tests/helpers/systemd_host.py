"""A host whose first process is a real systemd: this machine's own files under a layer that is thrown away.

It has its own processes, users and files, and the network of this machine. A test that uses it is marked with needs_systemd.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import subprocess
from pathlib import Path
from types import TracebackType

from helpers.children import start
from helpers.waiting import PATIENCE, wait_until

#: Runs in mount and process namespaces of its own, which end with it. The layer is in memory, because not every
#: file system can be one. Folders that the guest is not to see are empty; nothing of this machine is started there.
_BOOT = r"""
set -e
mount -t tmpfs -o mode=755 tmpfs "$1"
cd "$1"
mkdir upper work root
for folder in tmp root run home mnt var/tmp var/log etc/systemd/system etc/systemd/user; do
    mkdir -p upper/$folder
    setfattr -n trusted.overlay.opaque -v y upper/$folder 2>/dev/null ||
        "$4" -c 'import os, sys; os.setxattr(sys.argv[1], "trusted.overlay.opaque", b"y")' upper/$folder
done
chmod 1777 upper/tmp upper/var/tmp
chmod 700 upper/root
mkdir -p upper/opt/shared upper/var/lib/systemd/linger
: >upper/etc/machine-id
echo systemd-host >upper/etc/hostname
mkdir -p upper/etc/systemd/system/multi-user.target.wants
for unit in systemd-firstboot systemd-update-utmp systemd-networkd-wait-online; do
    ln -s /dev/null upper/etc/systemd/system/$unit.service
done
# Or the systemd of a second host would have the same control groups, and count and kill there, too.
if [ -e /sys/fs/cgroup/systemd/cgroup.procs ]; then
    mkdir -p /sys/fs/cgroup/systemd/"$2"
    echo 0 >/sys/fs/cgroup/systemd/"$2"/cgroup.procs
fi
mount -t overlay overlay -o lowerdir=/,upperdir=upper,workdir=work root
while :; do
    status=0
    systemd-nspawn --quiet --directory=root --boot --register=no --keep-unit --machine="$2" --link-journal=no \
        --resolv-conf=off --timezone=off --bind-ro="$3:/opt/shared" --console=pipe \
        systemd.mask=getty.target systemd.mask=console-getty.service systemd.show_status=0 || status=$?
    [ $status = 133 ] || exit $status # 133: the guest asked for a reboot
done
"""


#: The numbers of the hosts of this process.
_numbers = itertools.count(1)


class SystemdHost:
    """A booted host; a context manager.

    Args:
        folder: an empty folder, for what it prints.
        shared: a folder that it sees as /opt/shared; read-only.
    """

    def __init__(self, folder: Path, shared: Path) -> None:
        self._log = folder / "console.log"
        place = folder / "host"
        place.mkdir()
        unshare = shutil.which("unshare")
        assert unshare is not None
        name = f"easycluster-test-{os.getpid()}-{next(_numbers)}"
        self._group = Path("/sys/fs/cgroup/systemd", name)
        words = ["sh", "-c", _BOOT, "sh", str(place), name, str(shared), "/usr/bin/python3"]
        with self._log.open("wb") as log:
            self._process = start(
                [unshare, "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._leader = 0
        try:
            self._wait_until_up()
        except BaseException:
            self._end()
            raise

    def __enter__(self) -> SystemdHost:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _end(self) -> None:
        self._process.kill()
        self._process.wait(PATIENCE)
        # A group can be removed when its processes are gone, and the groups in it.
        wait_until(self._remove_groups, what="the end of all processes of the host")

    def _remove_groups(self) -> bool:
        for folder, _, _ in os.walk(self._group, topdown=False):
            with contextlib.suppress(OSError):
                os.rmdir(folder)
        return not self._group.exists()

    def run(self, *command: object, check: bool = True, user: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command there, as root or as another user; its output and errors come together."""
        words = [str(word) for word in command]
        if user:
            words = ["runuser", "-u", user, "--", *words]
        return subprocess.run(
            ["nsenter", "-t", str(self._leader), "--all", *words],
            env={"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE * 3,
            check=check,
        )

    def reboot(self) -> None:
        """Let the host boot again; returns when it is up."""
        before = self._leader
        self.run("systemctl", "--no-wall", "reboot", check=False)
        wait_until(lambda: not Path(f"/proc/{before}").exists(), what="the end of the host")
        self._wait_until_up()

    def _wait_until_up(self) -> None:
        try:
            wait_until(self._is_up, what="systemd")
        except AssertionError as error:
            raise AssertionError(f"{error}: {self._log.read_text()[-2000:]}") from error

    def _is_up(self) -> bool:
        assert self._process.poll() is None, self._log.read_text()[-2000:]
        self._leader = _find_systemd(self._process.pid)
        if not self._leader:
            return False
        state = self.run("systemctl", "is-system-running", check=False).stdout.strip()
        return state in {"running", "degraded"}


def _find_systemd(root: int) -> int:
    """Return the number of the first systemd below a process, or 0."""
    pids = [root]
    while pids:
        for pid in pids:
            try:
                if Path(f"/proc/{pid}/comm").read_text().strip() == "systemd":
                    return pid
            except OSError:
                pass
        pids = [child for pid in pids for child in _children(pid)]
    return 0


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
