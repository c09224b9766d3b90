from __future__ import annotations

import subprocess
import sys

import pytest

from easycluster_server._system.posix import libc

#: What there may be of `ctypes`: what is done before the module is imported.
PYTHONS = {
    "CPython": "",
    "PyPy": "import ctypes, _ctypes; del _ctypes.call_cdeclfunction",
    "embedded": "sys.modules['_ctypes'] = None",
}

CODE = """
import sys
{prepare}
import os
from easycluster_server._system.posix import libc
print(
    libc.call("getpid") == os.getpid(),
    libc.call("fflush", None),
    libc.call_with_variable("ferror", "stdout"),
    libc.call("no_function_of_this_name"),
    libc.call_with_variable("ferror", "no_variable_of_this_name"),
    "ctypes" in sys.modules,
)
"""


@pytest.mark.parametrize(
    ("python", "found"),
    [
        ("CPython", "True 0 0 None None False"),
        ("PyPy", "True 0 0 None None True"),
        ("embedded", "False None None None None False"),
    ],
)
def test_c_library(python: str, found: str) -> None:
    """Functions of the C library are called with what there is of `ctypes`; those that cannot be had give None."""
    command = [sys.executable, "-c", CODE.format(prepare=PYTHONS[python])]

    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout == found + "\n"


def run(code: str) -> str:
    """Run code in a process of its own, where ``libc`` is the module; return what it prints."""
    prelude = "import os, time\nfrom easycluster_server._system.posix import libc, proc as processes\n"
    return subprocess.run(
        [sys.executable, "-c", prelude + code], check=True, stdout=subprocess.PIPE, text=True
    ).stdout


def test_subreaper() -> None:
    """An orphan below a subreaper becomes its child."""
    code = """
assert libc.become_subreaper()
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
libc.become_subreaper()
reading, writing = os.pipe()
middle = os.fork()
if middle == 0:
    parent = os.getpid()
    if os.fork() == 0:
        if {early}:
            while os.getppid() == parent:
                time.sleep(0.001)
        libc.die_with_parent(parent)
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

    assert not libc.become_subreaper()
    libc.die_with_parent(1)
