from __future__ import annotations

import gzip
import io
import os
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from easycluster_server._objects import lines as lines_module
from easycluster_server._objects.lines import next_lines


def take_all(file: Any, count: int = 7) -> list[Any]:
    """Take all lines."""
    taken: list[Any] = []
    while True:
        try:
            lines = next_lines(file, count)
        except StopIteration:
            return taken
        assert lines is not None
        assert 0 < len(lines) <= count
        taken += lines


TEXT = "".join(f"line {number}\n" for number in range(100))


@pytest.mark.parametrize("count", [1, 7, 1000])
@pytest.mark.parametrize("kind", ["text", "bytes", "unbuffered", "gzip", "StringIO", "BytesIO"])
def test_lines(tmp_path: Path, kind: str, count: int) -> None:
    """All lines come in their order, of files on a disk and in memory."""
    path = tmp_path / "file"
    path.write_bytes(gzip.compress(TEXT.encode()) if kind == "gzip" else TEXT.encode())
    files: dict[str, Any] = {
        "text": path.open,
        "bytes": partial(path.open, "rb"),
        "unbuffered": partial(path.open, "rb", 0),
        "gzip": partial(gzip.open, path),
        "StringIO": lambda: io.StringIO(TEXT),
        "BytesIO": lambda: io.BytesIO(TEXT.encode()),
    }
    with files[kind]() as file:
        taken = take_all(file, count)

    joined = "".join(taken) if isinstance(taken[0], str) else b"".join(taken).decode()
    assert joined == TEXT


def test_much_is_not_held(tmp_path: Path) -> None:
    """Of long lines fewer come with a call than were asked for."""
    file = io.StringIO("x" * 100_000 + "\n" + "y\n" * 500_000)

    lines = next_lines(file, 1_000_000)

    assert lines is not None
    assert 2 <= len(lines) < 300_000
    assert sum(map(len, lines)) < 3 * lines_module._MAX_SIZE


def test_error_behind_lines(tmp_path: Path) -> None:
    """Lines that were read before an error come first; then it is raised, once."""
    path = tmp_path / "file"
    path.write_bytes(b"line\n" * 20_000 + b"\xff\n")
    with path.open(encoding="utf-8") as file:
        taken: list[Any] = []
        with pytest.raises(UnicodeDecodeError):
            while True:
                taken += next_lines(file, 50_000) or []
        assert set(taken) == {"line\n"}
        assert file not in lines_module._errors


class Tracked(io.StringIO):
    """A class of the user's, which may do anything."""


def test_files_that_may_wait(tmp_path: Path) -> None:
    """Pipes, what the kernel makes, and classes of others are not read ahead: nothing is taken from them."""
    reading, writing = os.pipe()
    os.write(writing, b"line\n")
    empty = tmp_path / "empty"
    empty.touch()
    with (
        open(reading) as pipe,
        open(writing, "wb"),
        open("/proc/self/status") as status,
        empty.open() as nothing,
    ):
        for file in (pipe, status, nothing, Tracked("line\n"), iter(["line\n"])):
            assert next_lines(file, 10) is None
        assert next(pipe) == "line\n"
    assert next_lines(nothing, 10) is None  # it is closed: the call of `__next__` says so
