from __future__ import annotations

import fcntl
import os
import select
import signal
import socket
import threading
import tty
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import pytest

from easycluster_server._system.output import Output


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """The two ends of a pipe that holds two pages."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, getattr(fcntl, "F_SETPIPE_SZ", 1031), 8192)
    yield reading, writing
    for descriptor in (reading, writing):
        try:
            os.close(descriptor)
        except OSError:
            pass


def fill(output: Output) -> int:
    """Print until nothing more is taken; return how many lines were."""
    printed = 0
    while output.print("x" * 99 + "\n"):
        printed += 1
    return printed


def test_reader_that_stops(pipe: tuple[int, int]) -> None:
    """Lines that a full pipe does not take are lost, and their number is told ahead of the next that it takes."""
    output = Output(pipe[1])
    printed = fill(output)
    assert not output.print("two\nlines\n")

    assert os.read(pipe[0], 1 << 16) == (b"x" * 99 + b"\n") * printed
    assert output.print("again\n")
    assert output.print("more\n")
    assert os.read(pipe[0], 1 << 16) == b"easycluster: 3 lines could not be printed here\nagain\nmore\n"
    assert not fcntl.fcntl(pipe[1], fcntl.F_GETFL) & os.O_NONBLOCK


def test_reader_that_is_gone(pipe: tuple[int, int]) -> None:
    """Without a reader nothing is written, also where SIGPIPE would end the process."""
    os.close(pipe[0])
    before = signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        assert not Output(pipe[1]).print("line\n")
    finally:
        signal.signal(signal.SIGPIPE, before)


@pytest.mark.parametrize("mode", ["socket", "terminal"])
def test_other_readers_that_stop(mode: str) -> None:
    """Nor does a socket or a terminal hold a line up; what was cut is ended before the next line."""
    if mode == "socket":
        first, second = socket.socketpair()
        reading, writing = first.detach(), second.detach()
    else:
        reading, writing = os.openpty()
        tty.setraw(writing)
    output = Output(writing)
    printed = fill(output)
    got = b""
    while select.select([reading], [], [], 0)[0]:
        got += os.read(reading, 1 << 16)
    assert output.print("again\n")
    got += os.read(reading, 1 << 16)
    for descriptor in (reading, writing):
        os.close(descriptor)

    lines = got.splitlines()
    assert lines[-2:] == [b"easycluster: 1 line could not be printed here", b"again"]
    assert lines[:printed] == [b"x" * 99] * printed


def test_long_text(pipe: tuple[int, int]) -> None:
    """A text that is longer than the pipe has room for is begun, and lost."""
    output = Output(pipe[1])
    assert not output.print("x" * 9000 + "\n")
    os.read(pipe[0], 1 << 16)

    assert output.print("next\n")
    assert os.read(pipe[0], 1 << 16) == b"\neasycluster: 1 line could not be printed here\nnext\n"


@pytest.mark.parametrize("target", ["/dev/full", "closed"])
def test_what_cannot_be_written(target: str) -> None:
    """A full disk and a closed descriptor lose lines and raise nothing."""
    descriptor = os.open("/dev/full" if target != "closed" else os.devnull, os.O_WRONLY)
    output = Output(descriptor)
    if target == "closed":
        os.close(descriptor)
    assert not output.print("line\n")
    assert output.missing == 1
    if target != "closed":
        os.close(descriptor)


def test_file(tmp_path: Path) -> None:
    """A file is written where its other users left off; characters that cannot be encoded are escaped."""
    descriptor = os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT)
    os.write(descriptor, b"before\n")
    output = Output(descriptor)
    output.encoding = "ascii"
    assert output.say("ä \ud800")
    os.write(descriptor, b"after\n")
    os.close(descriptor)

    assert (tmp_path / "log").read_text() == "before\neasycluster: \\xe4 \\ud800\nafter\n"


@pytest.mark.parametrize("is_closed_at_first", [False, True])
def test_pinned(tmp_path: Path, is_closed_at_first: bool) -> None:
    """Nothing is written into a file that takes the place of the one to which a descriptor led."""
    descriptor = os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT)
    output = Output(descriptor)
    if is_closed_at_first:
        os.close(descriptor)
    output.pin()
    mine = os.open(tmp_path / "mine", os.O_WRONLY | os.O_CREAT)
    os.dup2(mine, descriptor)
    assert not output.print("line\n")
    os.close(descriptor)
    if mine != descriptor:
        os.close(mine)

    assert (tmp_path / "mine").read_bytes() == b""


def test_threads_count_what_they_lose() -> None:
    """Lines that several threads lose at once are all counted."""
    full = os.open("/dev/full", os.O_WRONLY)
    output = Output(full)
    threads = [threading.Thread(target=lambda: [output.print("x\n") for _ in range(200)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    os.close(full)

    assert output.missing == 800


def test_error_of_a_signal_handler(pipe: tuple[int, int]) -> None:
    """An OSError that a signal handler raises in the middle is its program's, and is not swallowed."""

    def handle(number: int, frame: FrameType | None) -> None:
        raise TimeoutError("time is over")

    output = Output(pipe[1])
    fill(output)
    output.patience = 60_000
    before = signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    try:
        with pytest.raises(TimeoutError, match="time is over"):
            output.print("line\n")
    finally:
        signal.signal(signal.SIGALRM, before)
    assert output.missing == 2
