"""Whether ssh is asking the user for something: while it does, the limit on connecting does not run."""

from __future__ import annotations

import os
from collections.abc import Iterable

from easycluster_server._system import proc


def is_prompting(pid: int) -> bool:
    """Return whether this ssh, or one that it started, waits for a password or the like.

    ssh opens the terminal to ask, and closes it afterwards; or it starts a program that asks in a
    window. Known only where there is a /proc of ours; elsewhere the limit runs on.
    """
    return proc.has_own_proc() and any(map(_is_asking, (pid, *_descendants(pid))))


def _is_asking(pid: int) -> bool:
    return _has_terminal(pid) or _asks_in_window(pid)


def _descendants(pid: int) -> list[int]:
    try:
        # Few ssh have children. The table of all processes is dear where many connections are being made.
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            if not file.read():
                return []
    except OSError:  # it has ended, or the kernel does not tell
        pass
    return [process.pid for process in proc.find_descendants(pid, proc.read_processes())]


def _has_terminal(pid: int) -> bool:
    return "/dev/tty" in _links(f"/proc/{pid}/fd")


def _links(folder: str) -> Iterable[str]:
    try:
        for name in os.listdir(folder):
            yield os.readlink(f"{folder}/{name}")
    except OSError:  # it has ended, or has just closed one
        return


def _asks_in_window(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/comm") as file:
            name = file.read().rstrip("\n")
    except OSError:
        return False
    return name == os.path.basename(os.environ.get("SSH_ASKPASS", "ssh-askpass"))[:15]
