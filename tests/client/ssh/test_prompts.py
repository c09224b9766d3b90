"""The limit on connecting, and how it is found out that ssh waits for the user."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from easycluster import ConnectError
from easycluster_client._ssh import prompts
from easycluster_client._ssh.prompts import Deadline, check_timeout, is_prompting
from easycluster_server._system import proc
from helpers.waiting import PATIENCE, wait_until


class Clock:
    """Stands for the clock, and for waiting, which lets it go on."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.waits: list[float] = []
        #: What each wait finds, from the first; nothing after the last.
        self.found: dict[int, tuple[bool, bool]] = {}
        #: Seconds that a look whether the user is asked takes.
        self.look_takes = 0.0

    def monotonic(self) -> float:
        return self.now

    def wait(self, read: int, write: int, timeout: float) -> tuple[bool, bool]:
        self.waits.append(timeout)
        self.now += timeout
        return self.found.get(len(self.waits), (False, False))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock by which deadlines run in this test."""
    clock = Clock()
    monkeypatch.setattr(prompts, "time", clock)
    monkeypatch.setattr(prompts, "wait", clock.wait)
    return clock


@pytest.mark.parametrize("seconds", [1, 0.001, 30.0, 86400])
def test_limit(seconds: float) -> None:
    """Any positive number of seconds up to a day is a limit."""
    assert check_timeout(seconds) == seconds
    assert isinstance(check_timeout(seconds), float)


@pytest.mark.parametrize(
    "seconds", [0, -1, float("nan"), float("inf"), 86401, "30", None, b"1", 1j], ids=repr
)
def test_no_limit(seconds: Any) -> None:
    """Everything else is refused, and the error shows it."""
    with pytest.raises(ValueError, match="connect_timeout") as caught:
        check_timeout(seconds)

    assert repr(seconds) in str(caught.value)


def test_time_is_over(clock: Clock) -> None:
    """When nothing came within the limit, the error says how long that was."""
    with pytest.raises(ConnectError, match=r"^no answer within 7.5 seconds$"):
        Deadline(7.5).wait(0)

    assert clock.now == pytest.approx(1007.5)


def test_limit_is_for_all_waits_together(clock: Clock) -> None:
    """What one wait used is missing in the next."""
    deadline = Deadline(10)
    clock.found = {20: (True, False)}
    deadline.wait(0)
    assert deadline.left == pytest.approx(5)

    with pytest.raises(ConnectError):
        deadline.wait(0)

    assert clock.now == pytest.approx(1010)


@pytest.mark.parametrize("found", [(True, False), (False, True), (True, True)])
def test_ready_in_the_last_moment(clock: Clock, found: tuple[bool, bool]) -> None:
    """What is ready counts, even when the time is over by then."""
    deadline = Deadline(0.25)
    clock.found = {1: found}

    deadline.wait(0, 1)

    assert deadline.left == 0


def test_prompt_is_not_counted(clock: Clock) -> None:
    """While the user is asked, the limit does not run: afterwards as much is left as before."""

    def is_prompting() -> bool:
        return 1003 <= clock.now < 2000

    with pytest.raises(ConnectError, match="within 5 seconds"):
        Deadline(5, is_prompting).wait(0)

    assert clock.now == pytest.approx(1005 + 997, abs=1)


def test_prompt_at_the_end_of_the_limit(clock: Clock) -> None:
    """A prompt that is there when the time is over still stops the clock, and is looked at without haste."""
    deadline = Deadline(0.1, lambda: clock.now < 1050)

    with pytest.raises(ConnectError):
        deadline.wait(0)

    assert clock.now >= 1050
    assert min(clock.waits) >= 0.02


def test_looking_is_not_counted_either(clock: Clock) -> None:
    """A look that takes long, on a machine with many processes, does not use up the limit during a prompt."""

    def is_prompting() -> bool:
        clock.now += 3
        return clock.now < 1060

    deadline = Deadline(5, is_prompting)
    with pytest.raises(ConnectError):
        deadline.wait(0)

    assert clock.now > 1060


def test_descriptors() -> None:
    """The wait ends when the one descriptor can be read from, or the other written to."""
    reading, writing = os.pipe()
    deadline = Deadline(PATIENCE)

    deadline.wait(-1, writing)
    with pytest.raises(ConnectError):
        Deadline(0.01).wait(reading)
    os.write(writing, b"x")
    deadline.wait(reading)

    os.close(reading)
    os.close(writing)


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

    def process_table() -> dict[int, Any]:
        tables.append(1)
        return {}

    monkeypatch.setattr(proc, "process_table", process_table)
    if not Path(f"/proc/self/task/{os.getpid()}/children").exists():
        pytest.skip("this kernel does not tell the children of a process")
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as process:
        is_prompting(process.pid)
        process.stdin.close()  # type: ignore[union-attr]

    assert tables == []
