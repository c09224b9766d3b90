from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from easycluster_server import _processes
from easycluster_server._processes import (
    Process,
    descendants,
    process_table,
    read_process,
    report,
    report_briefly,
    send_signal,
    without_subtrees,
)


def table_of(*entries: tuple[int, int, str]) -> dict[int, Process]:
    """A process table; each entry is a process id, its parent's and a state."""
    return {pid: Process(pid, parent, 1, 0, state) for pid, parent, state in entries}


FAMILY = table_of((1, 0, "S"), (2, 1, "S"), (3, 2, "R"), (4, 2, "Z"), (5, 4, "S"), (6, 1, "S"), (7, 3, "T"))


def pids(processes: list[Process]) -> list[int]:
    """Their ids, in order."""
    return sorted(process.pid for process in processes)


def run(code: str) -> str:
    """Run code in a process of its own, where ``processes`` is the module; return what it prints."""
    prelude = (
        "import os, signal, subprocess, sys, time\nfrom easycluster_server import _processes as processes\n"
    )
    return subprocess.run(
        [sys.executable, "-c", prelude + code], check=True, stdout=subprocess.PIPE, text=True
    ).stdout


def test_this_process_is_in_the_table() -> None:
    """The table has this process, with its parent and session, as it is read alone."""
    found = process_table()[os.getpid()]
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

        assert process_table() == {}
        assert read_process(os.getpid()) is None


def test_descendants() -> None:
    """Descendants are found through zombies, which are none themselves; parents come before children."""
    found = [process.pid for process in descendants(1, FAMILY)]

    assert sorted(found) == [2, 3, 5, 6, 7]
    assert found.index(2) < found.index(3) < found.index(7)
    assert descendants(7, FAMILY) == []


def test_without_subtrees() -> None:
    """Spared processes are left out, with all below them."""
    assert pids(without_subtrees(1, {3}, FAMILY)) == [2, 5, 6]
    assert pids(without_subtrees(1, set(), FAMILY)) == [2, 3, 5, 6, 7]
    assert pids(without_subtrees(1, {2, 99}, FAMILY)) == [6]


def test_signals() -> None:
    """A signal is sent to all that still exist."""
    with subprocess.Popen(["true"]) as ended:
        pass
    with subprocess.Popen(["sleep", "600"]) as process:
        table = table_of((ended.pid, 1, "S"), (process.pid, 1, "S"))
        send_signal(table.values(), signal.SIGTERM)

    assert process.returncode == -signal.SIGTERM


def test_subreaper() -> None:
    """An orphan below a subreaper becomes its child."""
    code = """
assert processes.become_subreaper()
if os.fork() == 0:
    if os.fork() == 0:
        time.sleep(600)
    os._exit(0)
os.wait()
(orphan,) = processes.descendants(os.getpid(), processes.process_table())
print(orphan.parent == os.getpid())
os.kill(orphan.pid, 9)
os.wait()
"""

    assert run(code) == "True\n"


@pytest.mark.parametrize("early", [False, True])
def test_dying_with_the_parent(early: bool) -> None:
    """A process that asked for it dies with its parent, also when that died before it asked."""
    code = f"""
processes.become_subreaper()
reading, writing = os.pipe()
middle = os.fork()
if middle == 0:
    parent = os.getpid()
    if os.fork() == 0:
        if {early}:
            while os.getppid() == parent:
                time.sleep(0.001)
        processes.die_with_parent(parent)
        os.write(writing, b"x")
        time.sleep(600)
    if not {early}:
        os.read(reading, 1)
    os._exit(0)
os.waitpid(middle, 0)
print(os.wait()[1])
"""

    assert run(code) == ("256\n" if early else "9\n")


def test_prctl_that_cannot_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system or Python lacks what it takes, nothing happens."""
    monkeypatch.setitem(sys.modules, "ctypes", None)

    assert not _processes.become_subreaper()
    _processes.die_with_parent(1)


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2), ()])
def test_standard_descriptors_are_occupied(closed: tuple[int, ...]) -> None:
    """Standard descriptors that are closed lead nowhere then, for children too; the others stay as they are."""
    code = f"""
keep = os.dup(1)
for descriptor in {closed}:
    os.close(descriptor)
before = len(os.listdir("/proc/self/fd"))
processes.occupy_standard_descriptors()
found = [os.readlink(f"/proc/self/fd/{{n}}") == os.devnull and os.get_inheritable(n) for n in {closed}]
os.write(keep, repr((found, len(os.listdir("/proc/self/fd")) - before)).encode())
"""

    assert run(code) == repr(([True] * len(closed), len(closed)))


def raise_error() -> None:
    """Fail."""
    raise ValueError("wrong")


def test_reports(capsys: pytest.CaptureFixture[str]) -> None:
    """An exception is printed whole, or as one line that names the place."""
    try:
        raise_error()
    except ValueError as error:
        report(error)
        whole = capsys.readouterr().err
        report_briefly(error)
        report_briefly(KeyError("never raised"))
    brief = capsys.readouterr().err.splitlines()
    line = raise_error.__code__.co_firstlineno + 2

    assert whole.startswith("Traceback")
    assert whole.endswith("\nValueError: wrong\n")
    assert brief == [
        f"easycluster: raised between two calls: ValueError: wrong ({__file__}, line {line}, in raise_error)",
        "easycluster: raised between two calls: KeyError: 'never raised'",
    ]
