"""What a test leaves behind: threads, processes anywhere below it, open descriptors.

Processes are found in two ways: as descendants of this one, and by a mark in the environment that
every process of this run starts with. The mark also finds daemons and what sshd started.
"""

from __future__ import annotations

import contextlib
import gc
import os
import threading
from pathlib import Path
from typing import NamedTuple

from easycluster_server._system.posix.proc import find_descendants, read_processes
from helpers.waiting import wait_until

MARK = "EASYCLUSTER_TEST_RUN"


class Snapshot(NamedTuple):
    """What there is at one moment, as text; a process is named by its id and its start."""

    threads: frozenset[str]
    processes: frozenset[str]
    descriptors: frozenset[str]

    def beyond(self, before: Snapshot) -> dict[str, list[str]]:
        """What has come since ``before``."""
        pairs = zip(self._fields, self, before, strict=True)
        return {name: sorted(now - then) for name, now, then in pairs if now - then}


def take(mark: str) -> Snapshot:
    """Look at this process and at what it started. ``mark`` is the value of `MARK`."""
    threads = frozenset(f"{thread.ident} {thread.name}" for thread in threading.enumerate())
    return Snapshot(threads, processes(mark), _descriptors())


def processes(mark: str) -> frozenset[str]:
    """The processes of this run but for this one, each as ``id@start``: command lines change."""
    table = read_processes()
    below = {process.pid for process in find_descendants(os.getpid(), table)}
    below.update(process.pid for process in table.values() if process.parent == os.getpid())
    entry = f"{MARK}={mark}".encode()
    found = [p for p in table.values() if p.pid in below or entry in read_proc(p.pid, "environ").split(b"\0")]
    return frozenset(f"{p.pid}@{p.started}" for p in found if p.pid != os.getpid())


def read_proc(pid: int, name: str) -> bytes:
    """Return what a file in a process's folder of /proc holds; nothing when that cannot be read."""
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:  # it has gone, or is another user's
        return b""


def _describe(kind: str, item: str) -> str:
    if kind != "processes":
        return item
    line = read_proc(int(item.partition("@")[0]), "cmdline").replace(b"\0", b" ").decode(errors="replace")
    return f"{item} {line[:200].strip() or '<zombie>'!r}"


def _descriptors() -> frozenset[str]:
    found = []
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # the one that listdir itself had open
            found.append(f"{name} -> {os.readlink(f'/proc/self/fd/{name}')}")
    # libffi 3.5 keeps its own file open from its first use on.
    return frozenset(each for each in found if "/libffi.so" not in each)


def assert_none_since(before: Snapshot, mark: str) -> None:
    """Wait until nothing is left of what came since ``before``; fail with a list of it."""
    last: dict[str, list[str]] = {}

    def nothing_left() -> bool:
        nonlocal last
        last = take(mark).beyond(before)
        if last:
            gc.collect()  # each time: what a thread that ends only now had in hand may be part of a cycle
        return not last

    try:
        wait_until(nothing_left)
    except AssertionError:
        lines = [f"  {kind}: {_describe(kind, item)}" for kind, items in last.items() for item in items]
        raise AssertionError("the test left behind:\n" + "\n".join(lines)) from None
