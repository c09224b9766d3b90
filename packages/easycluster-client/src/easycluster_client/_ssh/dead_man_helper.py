"""The script of the dead-man helper: ends the ssh processes of a master that died.

Its arguments are ``PID:START`` of children of the master. It ends those that still run, and their
descendants. A process is identified by its id and its start time, because another process may get the id of
one that has ended. A start time of 0 means that the system has no /proc that says it.
"""

from __future__ import annotations

import os
import signal
import sys
import time

#: Seconds that processes have to end after SIGTERM, and between two checks whether they have ended.
_GRACE = 1.0
_POLL_INTERVAL = 0.01


def main() -> None:
    """End the processes that the arguments name."""
    noted: dict[int, bytes] = {}
    for argument in sys.argv[1:]:
        pid, _, start = argument.partition(":")
        noted[int(pid)] = start.encode()
    _end_processes(noted)


def _end_processes(noted: dict[int, bytes]) -> None:
    for pid, start in noted.items():
        if start == b"0":
            _send_signal(pid, signal.SIGKILL)
    alive = _find_alive(noted)
    # SIGTERM first: a program that is asking for a password switches the echo of the terminal on again.
    for pid in alive:
        _send_signal(pid, signal.SIGTERM)
    deadline = time.monotonic() + _GRACE
    while alive and time.monotonic() < deadline:
        time.sleep(_POLL_INTERVAL)
        alive = {pid: start for pid, start in alive.items() if _read_process(pid)[0] == start}
    for pid in {**alive, **_find_alive(noted)}:
        _send_signal(pid, signal.SIGKILL)


def _find_alive(noted: dict[int, bytes]) -> dict[int, bytes]:
    """Return the noted processes that still run, and their descendants, with their start times."""
    try:
        pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        pids = []
    table = {pid: _read_process(pid) for pid in pids}
    members = {pid for pid, start in noted.items() if pid in table and table[pid][0] == start}
    size = -1
    while len(members) != size:
        size = len(members)
        members.update(pid for pid, (_, parent) in table.items() if parent in members)
    return {pid: table[pid][0] for pid in members if table[pid][0]}


def _read_process(pid: int) -> tuple[bytes, int]:
    """Return the start time of a process, empty if it has ended, and its parent."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return b"", 0
    return b"" if fields[0] == b"Z" else fields[19], int(fields[1])


def _send_signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except OSError:
        pass


if __name__ == "__main__":
    main()
