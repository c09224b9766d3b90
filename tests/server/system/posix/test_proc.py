from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from easycluster_server._system.posix import proc
from easycluster_server._system.posix.proc import (
    Process,
    find_descendants,
    find_descendants_except,
    read_process,
    read_processes,
    send_signal,
)


def table_of(*entries: tuple[int, int, str]) -> dict[int, Process]:
    """A process table; each entry is a process id, its parent's and a state."""
    return {pid: Process(pid, parent, 1, 0, state) for pid, parent, state in entries}


FAMILY = table_of((1, 0, "S"), (2, 1, "S"), (3, 2, "R"), (4, 2, "Z"), (5, 4, "S"), (6, 1, "S"), (7, 3, "T"))


def pids(processes: list[Process]) -> list[int]:
    """Their ids, in order."""
    return sorted(process.pid for process in processes)


def test_this_process_is_in_the_table() -> None:
    """The table has this process, with its parent and session, as it is read alone."""
    found = read_processes()[os.getpid()]
    alone = read_process(os.getpid())
    assert alone is not None

    assert (found.pid, found.parent, found.session) == (os.getpid(), os.getppid(), os.getsid(0))
    assert found.started == alone.started


def test_process_with_a_strange_name(tmp_path: Path) -> None:
    """A program may be called anything."""
    program = tmp_path / "a) R 1 (b"
    shutil.copy("/bin/sleep", program)
    with subprocess.Popen([str(program), "600"]) as process:
        found = read_process(process.pid)
        process.kill()

    assert found is not None
    assert (found.parent, found.session) == (os.getpid(), os.getsid(0))


def test_process_that_has_gone() -> None:
    """Nothing is known of a process that has ended and was waited for."""
    with subprocess.Popen(["true"]) as process:
        pass

    assert read_process(process.pid) is None


def test_no_process_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no /proc, or one that shows other processes under our numbers, the table is empty."""

    def fail(path: str) -> str:
        raise FileNotFoundError(path)

    for readlink in (fail, lambda path: "1"):
        monkeypatch.setattr(os, "readlink", readlink)

        assert read_processes() == {}
        assert read_process(os.getpid()) is None


def test_descendants() -> None:
    """Descendants are found through zombies, which are none themselves; parents come before children."""
    found = [process.pid for process in find_descendants(1, FAMILY)]

    assert sorted(found) == [2, 3, 5, 6, 7]
    assert found.index(2) < found.index(3) < found.index(7)
    assert find_descendants(7, FAMILY) == []


def test_without_subtrees() -> None:
    """Spared processes are left out, with all below them."""
    assert pids(find_descendants_except({(3, 0)}, 1, FAMILY)) == [2, 5, 6]
    assert pids(find_descendants_except(set(), 1, FAMILY)) == [2, 3, 5, 6, 7]
    assert pids(find_descendants_except({(2, 0), (99, 0)}, 1, FAMILY)) == [6]


def test_signals() -> None:
    """A signal is sent to all that still exist."""
    with subprocess.Popen(["true"]) as ended:
        pass
    with subprocess.Popen(["sleep", "600"]) as process:
        table = table_of((ended.pid, 1, "S"), (process.pid, 1, "S"))
        send_signal(table.values(), signal.SIGTERM)

    assert process.returncode == -signal.SIGTERM


def test_a_parent_that_ends_while_the_table_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that was read before its parent ended is found below the one that it has then."""
    parent = subprocess.Popen(["sh", "-c", "sleep 600 & echo $!; wait"], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    read, names = proc._read, os.listdir("/proc")
    names.remove(str(child))

    def end_before_it_is_read(pid: int) -> Process | None:
        if pid == parent.pid:
            parent.kill()
            parent.wait()
        return read(pid)

    with monkeypatch.context() as patched:
        patched.setattr(os, "listdir", lambda _: [str(child), *names])  # as where ids have begun again
        patched.setattr(proc, "_read", end_before_it_is_read)
        table = read_processes()
    os.kill(child, signal.SIGKILL)
    parent.stdout.close()

    assert parent.pid not in table
    assert table[child].parent in table
