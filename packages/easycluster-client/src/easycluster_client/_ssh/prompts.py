"""Prompts of ssh: while it is asking the user for something, the limit on connecting does not run."""

from __future__ import annotations

import os
from collections.abc import Iterable

from easycluster_server._system import programs


def is_prompting(pid: int) -> bool:
    """Return whether this ssh, or one that it has started, is waiting for a password or the like.

    ssh opens the terminal to ask, and closes it afterwards; or it starts a program that asks in a
    window. Only a /proc of our own shows this; without one the answer is no, and the limit runs on.
    """
    return programs.has_own_proc() and any(map(_is_asking, (pid, *_find_descendants(pid))))


def _is_asking(pid: int) -> bool:
    return _has_terminal(pid) or _is_asking_in_window(pid)


def _find_descendants(pid: int) -> list[int]:
    try:
        # Few ssh have children, and reading all processes is expensive while many connections are made.
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            if not file.read():
                return []
    except OSError:  # it has ended, or the kernel does not list children
        pass
    return [process.pid for process in programs.find_descendants(pid, programs.read_processes())]


def _has_terminal(pid: int) -> bool:
    return "/dev/tty" in _read_links(f"/proc/{pid}/fd")


def _read_links(folder: str) -> Iterable[str]:
    try:
        for name in os.listdir(folder):
            yield os.readlink(f"{folder}/{name}")
    except OSError:  # the process has ended, or has just closed a descriptor
        return


def _is_asking_in_window(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/comm") as file:
            name = file.read().rstrip("\n")
    except OSError:
        return False
    return name == os.path.basename(os.environ.get("SSH_ASKPASS", "ssh-askpass"))[:15]
