from __future__ import annotations

import os
import subprocess
import sys

import pytest

from easycluster_server._system import libc, this_process
from easycluster_server._system.this_process import report, report_briefly


def run(code: str) -> str:
    """Run code in a process of its own, where ``this_process`` is the module; return what it prints."""
    prelude = (
        "import os, signal, subprocess, sys, time\n"
        "from easycluster_server._system import proc as processes, this_process\n"
    )
    return subprocess.run(
        [sys.executable, "-c", prelude + code], check=True, stdout=subprocess.PIPE, text=True
    ).stdout


def test_subreaper() -> None:
    """An orphan below a subreaper becomes its child."""
    code = """
assert this_process.become_subreaper()
if os.fork() == 0:
    if os.fork() == 0:
        time.sleep(600)
    os._exit(0)
os.wait()
(orphan,) = processes.find_descendants(os.getpid(), processes.read_processes())
print(orphan.parent == os.getpid())
os.kill(orphan.pid, 9)
os.wait()
"""

    assert run(code) == "True\n"


@pytest.mark.parametrize("early", [False, True])
def test_dying_with_the_parent(early: bool) -> None:
    """A process that asked for it dies with its parent, also when that died before it asked."""
    code = f"""
this_process.become_subreaper()
reading, writing = os.pipe()
middle = os.fork()
if middle == 0:
    parent = os.getpid()
    if os.fork() == 0:
        if {early}:
            while os.getppid() == parent:
                time.sleep(0.001)
        this_process.die_with_parent(parent)
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
    monkeypatch.setattr(libc, "call", lambda *arguments: None)

    assert not this_process.become_subreaper()
    this_process.die_with_parent(1)


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2), ()])
def test_standard_descriptors_are_occupied(closed: tuple[int, ...]) -> None:
    """FutureCondition descriptors that are closed lead nowhere then, for children too; the others stay as they are."""
    code = f"""
keep = os.dup(1)
for descriptor in {closed}:
    os.close(descriptor)
before = len(os.listdir("/proc/self/fd"))
this_process.occupy_standard_descriptors()
found = [os.readlink(f"/proc/self/fd/{{n}}") == os.devnull and os.get_inheritable(n) for n in {closed}]
os.write(keep, repr((found, len(os.listdir("/proc/self/fd")) - before)).encode())
"""

    assert run(code) == repr(([True] * len(closed), len(closed)))


def raise_error() -> None:
    """Fail."""
    raise ValueError("wrong")


def test_reports(capfd: pytest.CaptureFixture[str]) -> None:
    """An exception is printed whole, or as one line that names the place."""
    try:
        raise_error()
    except ValueError as error:
        report(error)
        whole = capfd.readouterr().err
        report_briefly(error)
        report_briefly(KeyError("never raised"))
    brief = capfd.readouterr().err.splitlines()
    line = raise_error.__code__.co_firstlineno + 2

    assert whole.startswith("Traceback")
    assert whole.endswith("\nValueError: wrong\n")
    assert brief == [
        f"easycluster: raised between two calls: ValueError: wrong ({__file__}, line {line}, in raise_error)",
        "easycluster: raised between two calls: KeyError: 'never raised'",
    ]


def test_descriptor_is_moved_up() -> None:
    """A descriptor gets a number that no file which is opened next has, and is not inherited."""
    reading, writing = os.pipe()
    moved = this_process.move_up(writing)
    with open(os.devnull) as file:
        assert file.fileno() <= writing < moved
    assert not os.get_inheritable(moved)
    os.write(moved, b"x")
    os.close(moved)

    assert os.read(reading, 2) == b"x"
    os.close(reading)


def test_descriptor_that_cannot_be_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no higher number, it stays."""
    reading, writing = os.pipe()
    monkeypatch.setattr(os, "sysconf", lambda name: -1)

    assert this_process.move_up(writing) == writing
    os.close(reading)
    os.close(writing)
