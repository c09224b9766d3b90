"""Run as a script by the dead-man helper: ends the ssh processes of a master that died.

Its arguments are ``PID:START`` of children of the master. It ends those that still run, and all that is
below them. A process is named by its id and its start: when it has ended, its id may soon be somebody else's.
A start of 0 means that there is no /proc to tell.
"""

from __future__ import annotations

import os
import signal
import sys
import time

#: Seconds that they have to end when they are asked to, and between two looks whether they have.
_GRACE = 1.0
_LOOK = 0.01


def main() -> None:
    """End the processes that the arguments name."""
    noted: dict[int, bytes] = {}
    for argument in sys.argv[1:]:
        number, _, began = argument.partition(":")
        noted[int(number)] = began.encode()
    for pid, start in noted.items():
        if start == b"0":
            _send(pid, signal.SIGKILL)
    found = _living(noted)
    # Not killed at once: who is asking gives the terminal its echo back.
    for pid in found:
        _send(pid, signal.SIGTERM)
    end = time.monotonic() + _GRACE
    while found and time.monotonic() < end:
        time.sleep(_LOOK)
        found = {pid: start for pid, start in found.items() if _read(pid)[0] == start}
    for pid in {**found, **_living(noted)}:
        _send(pid, signal.SIGKILL)


def _living(noted: dict[int, bytes]) -> dict[int, bytes]:
    """Return the noted processes that still run, and all below them, with their starts."""
    try:
        pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        pids = []
    table = {pid: _read(pid) for pid in pids}
    members = {pid for pid, start in noted.items() if pid in table and table[pid][0] == start}
    size = -1
    while len(members) != size:
        size = len(members)
        members.update(pid for pid, (_, parent) in table.items() if parent in members)
    return {pid: table[pid][0] for pid in members if table[pid][0]}


def _read(pid: int) -> tuple[bytes, int]:
    """Return when a process was started, empty for one that has ended, and its parent."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return b"", 0
    return b"" if fields[0] == b"Z" else fields[19], int(fields[1])


def _send(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except OSError:
        pass


if __name__ == "__main__":
    main()
