"""A host where no service manager has booted: this machine's own files under a layer that is thrown away.

It has its own processes, users and files, and the network of this machine. A test that uses it is marked with needs_mounts.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from types import TracebackType

from helpers.children import start
from helpers.waiting import PATIENCE, wait_until

#: Runs in mount and process namespaces of its own, which end with it. The layer is in memory, because not every
#: file system can be one. Folders that the guest is not to see are empty.
_SET_UP = r"""
set -e
mount -t tmpfs -o mode=755 tmpfs "$1"
cd "$1"
mkdir upper work root
for folder in tmp root run home mnt var/tmp var/log; do
    mkdir -p upper/$folder
    python3 -c 'import os, sys; os.setxattr(sys.argv[1], "trusted.overlay.opaque", b"y")' upper/$folder
done
chmod 1777 upper/tmp upper/var/tmp
mkdir upper/opt
mount -t overlay overlay -o lowerdir=/,upperdir=upper,workdir=work root
mkdir -p root/opt/shared
mount --bind "$2" root/opt/shared
mount --rbind /dev root/dev
mount -t proc proc root/proc
exec chroot root /usr/bin/python3 -I -c "$3"
"""

#: The first process takes note of the end of those whose parents have ended.
_FIRST_PROCESS = """
import os, signal
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
print("ready", flush=True)
while True:
    signal.sigwait({signal.SIGCHLD})
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass
"""


class InitHost:
    """Such a host; a context manager.

    Args:
        folder: an empty folder.
        shared: a folder that it sees as /opt/shared.
    """

    def __init__(self, folder: Path, shared: Path) -> None:
        place = folder / "host"
        place.mkdir()
        unshare = shutil.which("unshare")
        assert unshare is not None
        words = ["sh", "-c", _SET_UP, "sh", str(place), str(shared), _FIRST_PROCESS]
        self._process = start(
            [unshare, "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout
        assert self._process.stdout.readline() == b"ready\n"
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        self._first = children.read_text().split()[0]

    def __enter__(self) -> InitHost:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait(PATIENCE)
        assert self._process.stdout
        self._process.stdout.close()
        wait_until(lambda: not Path(f"/proc/{self._first}").exists(), what="the end of the host")

    def run(self, *command: object, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command there as root; its output and errors come together."""
        return subprocess.run(
            ["nsenter", "-t", self._first, "--mount", "--pid", "--root", "--wd", *map(str, command)],
            env={"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE * 3,
            check=check,
        )
