"""Processes as the kernel shows them: which descends from which, and how to end them."""

from __future__ import annotations

import os
from typing import Dict, Iterable, List, Set, Tuple


class Process:
    """One line of the process table.

    Attributes:
        started: in clock ticks since boot; together with `pid` it identifies a process for good.
        state: the kernel's letter: "R" for running, "Z" for a zombie and so on.
    """

    __slots__ = ("pid", "parent", "session", "started", "state")

    def __init__(self, pid: int, parent: int, session: int, started: int, state: str) -> None:
        self.pid = pid
        self.parent = parent
        self.session = session
        self.started = started
        self.state = state


def has_own_proc() -> bool:
    """Whether there is a /proc that shows this process.

    A namespace of processes may have no /proc of its own; then the ids in there belong to other processes.
    """
    try:
        return os.readlink("/proc/self") == str(os.getpid())
    except OSError:
        return False


def read_processes() -> Dict[int, Process]:
    """Return all processes by id; none where there is no /proc of this process."""
    table: Dict[int, Process] = {}
    if has_own_proc():
        for name in os.listdir("/proc"):
            process = _read(int(name)) if name.isdigit() else None
            if process is not None:
                table[process.pid] = process
        # Where ids begin again from 1, a child may be read before its parent. If the parent ends in between,
        # the child has another one now, and would seem to descend from nobody.
        for pid, process in list(table.items()):
            if process.parent and process.parent not in table:
                table[pid] = _read(pid) or process
    return table


def read_process(pid: int) -> Process | None:
    """Return one process, or None when it is gone or /proc does not show this process."""
    return _read(pid) if has_own_proc() else None


def _read(pid: int) -> Process | None:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            text = file.read()
    except OSError:
        return None
    # The name stands in parentheses and may hold anything, parentheses too.
    fields = text[text.rindex(b")") + 2 :].split()
    return Process(pid, int(fields[1]), int(fields[3]), int(fields[19]), fields[0].decode())


def find_descendants(root: int, table: Dict[int, Process]) -> List[Process]:
    """Return all living descendants of ``root``, parents before children."""
    children: Dict[int, List[Process]] = {}
    for process in table.values():
        children.setdefault(process.parent, []).append(process)
    found: List[Process] = []
    pending = [root]
    while pending:
        for child in children.get(pending.pop(), []):
            if child.state != "Z":
                found.append(child)
            pending.append(child.pid)
    return found


def find_descendants_except(
    spared: Set[Tuple[int, int]], root: int, table: Dict[int, Process]
) -> List[Process]:
    """Return the living descendants of ``root``, except those in ``spared`` and their descendants.

    Args:
        spared: the ids of processes, each with its start time.
        root: the id of the process.
        table: all processes.
    """
    kept = {pid for pid, started in spared if pid in table and table[pid].started == started}
    for pid in tuple(kept):
        kept.update(process.pid for process in find_descendants(pid, table))
    return [process for process in find_descendants(root, table) if process.pid not in kept]


def send_signal(processes: Iterable[Process], number: int) -> None:
    """Send a signal to each of the processes that still exists."""
    for process in processes:
        try:
            os.kill(process.pid, number)
        except OSError:
            pass


def describe(pid: int) -> bytes:
    """Return what a guardian says of its worker, see `easycluster_server._io.questions`: the state as the
    kernel's letter, "?" where it does not tell, and the CPU time in seconds."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            text = file.read()
    except OSError:
        return b"STATE: ? 0\n"
    fields = text[text.rindex(b")") + 2 :].split()
    ticks = int(fields[11]) + int(fields[12])  # of its own code, and of the system for it
    return b"STATE: %s %.2f\n" % (fields[0], ticks / os.sysconf("SC_CLK_TCK"))
