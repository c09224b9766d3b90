from __future__ import annotations

import fcntl
import io
import os
import sys
from collections.abc import Iterator

import pytest

from easycluster_client._ssh import backlog
from easycluster_client._ssh.backlog import Backlog


@pytest.fixture
def pipe() -> Iterator[tuple[int, io.TextIOWrapper]]:
    """The two ends of a small pipe."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, getattr(fcntl, "F_SETPIPE_SZ", 1031), 8192)
    with open(writing, "w", encoding="utf-8") as stream:
        yield reading, stream
    os.close(reading)


def test_slow_reader(pipe: tuple[int, io.TextIOWrapper], monkeypatch: pytest.MonkeyPatch) -> None:
    """Text waits for a reader that is slow, and nothing of it is lost."""
    reading, stream = pipe
    monkeypatch.setattr(sys, "stderr", stream)
    lines = [f"{i} {'x' * 90}\n" for i in range(300)]
    waiting = Backlog()
    for line in lines:
        waiting.add(line)
    assert not waiting.is_empty
    got = b""
    while not waiting.is_empty:
        got += os.read(reading, 1 << 16)
        waiting.drain()
    got += os.read(reading, 1 << 16)

    assert got.decode() == "".join(lines)
    assert waiting.descriptor == -1


def test_reader_that_has_stopped(pipe: tuple[int, io.TextIOWrapper], monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits too long is dropped, and what comes then as well; the number of lines is told."""
    reading, stream = pipe
    monkeypatch.setattr(sys, "stderr", stream)
    waiting = Backlog()
    printed = 0
    while waiting.is_empty:
        waiting.add(f"{'x' * 98}\n")
        printed += 1
    waiting.add("y\n" * 700_000)
    assert waiting.is_full
    assert waiting.descriptor == sys.stderr.fileno()

    monkeypatch.setattr(backlog, "_STALLED_SECONDS", 0.0)
    waiting.drain()
    assert waiting.is_empty
    monkeypatch.setattr(backlog, "_STALLED_SECONDS", 5.0)
    waiting.add("z\n")
    assert waiting.is_empty
    assert os.read(reading, 1 << 16).count(b"\n") == printed - 1
    waiting.add("again\n")
    assert os.read(reading, 1 << 16) == b"easycluster: 700002 lines could not be printed here\nagain\n"


def test_long_line(pipe: tuple[int, io.TextIOWrapper], monkeypatch: pytest.MonkeyPatch) -> None:
    """A line that is longer than a piece stays one line."""
    reading, stream = pipe
    monkeypatch.setattr(sys, "stderr", stream)
    waiting = Backlog()
    waiting.add("x" * 3000 + "\nend\n")

    assert os.read(reading, 1 << 16) == b"x" * 3000 + b"\nend\n"


def test_stream_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream that is no file gets the text as it came."""
    monkeypatch.setattr(sys, "stderr", stream := io.StringIO())
    waiting = Backlog()
    waiting.add("a\nb\n")

    assert stream.getvalue() == "a\nb\n"
    assert waiting.is_empty
