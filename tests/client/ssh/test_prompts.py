"""Whether ssh waits for the user."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from easycluster_client._ssh.prompts import is_prompting
from easycluster_server._system import programs
from helpers.waiting import PATIENCE, wait_until

# Who asks.

#: Opens the terminal when it hears a letter, and closes it at the next.
_ASKING = """
import os, sys
os.setsid()
os.close(os.open(sys.argv[1], os.O_RDWR))  # now it is the terminal of this session
print("ready", flush=True)
os.read(0, 1)
terminal = os.open("/dev/tty", os.O_RDWR)
print("asking", flush=True)
os.read(0, 1)
os.close(terminal)
print("done", flush=True)
os.read(0, 1)
"""

needs_proc = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="only /proc tells")


@needs_proc
@pytest.mark.integration
@pytest.mark.parametrize("depth", [0, 1, 2])
def test_terminal_is_open(depth: int) -> None:
    """A process asks as long as it, or one that it started, or one of those, has the terminal open."""
    controller, terminal = pty.openpty()
    command = [sys.executable, "-c", _ASKING, os.ttyname(terminal)]
    for _ in range(depth):
        # "; :" keeps the shell from becoming the command.
        command = ["sh", "-c", '"$@"; :', "sh", *command]
    seen = []
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for _ in range(3):
            seen.append((process.stdout.readline().decode().strip(), is_prompting(process.pid)))
            process.stdin.write(b"x")
            process.stdin.flush()
        process.stdin.close()
    os.close(controller)
    os.close(terminal)

    assert seen == [("ready", False), ("asking", True), ("done", False)]


@needs_proc
@pytest.mark.integration
@pytest.mark.parametrize(
    ("name", "setting"),
    [
        ("ssh-askpass", None),
        ("my-ask", "/somewhere/my-ask"),
        ("a-program-whose-name-is-long", "/a-program-whose-name-is-long"),
    ],
)
def test_program_that_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, setting: str | None
) -> None:
    """A program that asks in a window is known by its name, also a long one."""
    monkeypatch.delenv("SSH_ASKPASS", raising=False)
    if setting is not None:
        monkeypatch.setenv("SSH_ASKPASS", setting)
    program = tmp_path / name
    program.write_text("#!/bin/sh\necho started\nread answer\n")
    program.chmod(0o755)
    command = ["sh", "-c", 'read go; "$1"; echo over; read end', "sh", str(program)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        before = is_prompting(process.pid)
        process.stdin.write(b"go\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"started\n"
        during = is_prompting(process.pid)
        process.stdin.write(b"answer\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"over\n"
        after = is_prompting(process.pid)
        process.stdin.close()

    assert (before, during, after) == (False, True, False)


@pytest.mark.integration
def test_process_that_has_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that has ended, or is a zombie, does not ask."""
    process = subprocess.Popen(["true"])
    wait_until(lambda: not is_prompting(process.pid))
    process.wait(PATIENCE)

    assert not is_prompting(process.pid)


@needs_proc
@pytest.mark.integration
def test_table_of_processes_is_read_for_parents_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """An ssh without children is looked at alone: with many connections at once all else would be dear."""
    tables: list[int] = []

    def read_processes() -> dict[int, Any]:
        tables.append(1)
        return {}

    monkeypatch.setattr(programs, "read_processes", read_processes)
    if not Path(f"/proc/self/task/{os.getpid()}/children").exists():
        pytest.skip("this kernel does not tell the children of a process")
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as process:
        is_prompting(process.pid)
        process.stdin.close()  # type: ignore[union-attr]

    assert tables == []
