"""Which process has a port on which a server cannot listen, where the system tells."""

from __future__ import annotations

import os
from typing import Iterator, Optional, Set

#: The state of a listening socket in /proc/net/tcp.
_LISTENING = "0A"


def find_port_owner(port: int) -> Optional[str]:
    """Return the process that listens on a TCP port, as "process 123 (name)".

    Returns:
        None where that cannot be told: the process is another user's, or the system has no /proc.
    """
    wanted = {f"socket:[{inode}]" for inode in _find_listening_sockets(port)}
    if not wanted:
        return None
    for process in os.listdir("/proc"):
        if process.isdigit() and not wanted.isdisjoint(_list_files(process)):
            return f"process {process} ({_read(f'/proc/{process}/comm').strip()})"
    return None


def _find_listening_sockets(port: int) -> Set[str]:
    found: Set[str] = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in _read(table).splitlines()[1:]:
            fields = line.split()
            if fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                found.add(fields[9])
    return found


def _list_files(process: str) -> Iterator[str]:
    folder = f"/proc/{process}/fd"
    try:
        for name in os.listdir(folder):
            yield os.readlink(f"{folder}/{name}")
    except OSError:  # another user's, or it has ended
        pass


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
