"""Going on in the background: the caller ends when all is well, and gets the error when it is not."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from easycluster_server._system.posix.background import lock_file, send_datagram
from helpers.waiting import wait_until

SCRIPT = """
import atexit, os, sys
from easycluster_server._system.posix.background import go_to_background
atexit.register(lambda: open(sys.argv[1], "a").write("exit function\\n"))
sid = os.getsid(0)
try:
    tell = go_to_background()
except Exception as error:
    print(repr(error))
    os._exit(5)
{end}
open(sys.argv[1], "a").write(f"{{os.getcwd()}} {{os.getsid(0) != sid}} {{os.getsid(0) != os.getpid()}}\\n")
"""


def go(path: Path, end: str) -> tuple[int, str]:
    """Run a script that goes to the background; return the status of its first process, and what that printed."""
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(end=end), str(path)],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    return result.returncode, result.stdout


def test_ready(tmp_path: Path) -> None:
    """The caller ends with 0 and leaves the exit functions to the process that goes on, in a session of its own."""
    path = tmp_path / "notes"

    assert go(path, "tell(None); os.close(1)") == (0, "")
    wait_until(lambda: path.exists() and "exit function" in path.read_text())
    assert path.read_text() == "/ True True\nexit function\n"


def test_error(tmp_path: Path) -> None:
    """The error of the new process is raised in the caller."""
    assert go(tmp_path / "notes", "tell(OSError(98, 'in use'))") == (5, "OSError(98, 'in use')\n")


@pytest.mark.parametrize("method", ["__reduce__", "__init__"])
def test_error_that_cannot_travel(method: str, tmp_path: Path) -> None:
    """An error that cannot be pickled, or unpickled, arrives as its name and text."""
    parameters = {"__reduce__": "self", "__init__": "self, text, more"}[method]
    end = f"""
class Odd(Exception):
    def {method}({parameters}):
        self.args = ("a text",)
        if more is None:
            raise TypeError("no")
more = None if "{method}" == "__reduce__" else 1
tell(Odd("a text"{", 1" if method == "__init__" else ""}))
"""

    assert go(tmp_path / "notes", end) == (5, "OSError('Odd: a text')\n")


def test_sudden_end(tmp_path: Path) -> None:
    """A new process that ends without a word is an error in the caller."""
    status, printed = go(tmp_path / "notes", "os._exit(0)")

    assert status == 5
    assert "has ended before it was ready" in printed


def test_locks(tmp_path: Path) -> None:
    """A locked file cannot be locked by another opening of it, until it is closed."""
    path = tmp_path / "file"
    first, second = (os.open(path, os.O_RDWR | os.O_CREAT) for _ in range(2))
    lock_file(first)

    with pytest.raises(BlockingIOError):
        lock_file(second)
    os.close(first)
    lock_file(second)
    os.close(second)


def test_datagrams(tmp_path: Path) -> None:
    """Bytes arrive as they were sent; that nobody is there is an error."""
    address = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(address)
        send_datagram(address, b"READY=1")
        assert receiver.recv(100) == b"READY=1"

    with pytest.raises(ConnectionRefusedError):
        send_datagram(address, b"READY=1")
