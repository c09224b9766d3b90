from __future__ import annotations

import gc
import io
import tempfile
from collections.abc import Iterator
from typing import Any

import pytest

from easycluster_protocol._objects.exports import ServerObject
from easycluster_server._serving.logged_streams import LoggedStreams, class_name


class Log:
    """Lines, and the streams of which they tell."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.streams = LoggedStreams(self.lines.append)

    def call(
        self, oid: int, owner: Any, method: str, result: Any = None, size: int = 0, error: str = ""
    ) -> bool:
        """Note a call; return whether it has no line of its own."""
        number = self.streams.find(oid, owner, method)
        return self.streams.note(number, method, 0.5, result, size, error)


@pytest.fixture
def log() -> Log:
    """A new log."""
    return Log()


def test_file(log: Log) -> None:
    """A file has one line, when it is closed, with the calls and the bytes."""
    with tempfile.TemporaryFile() as file:
        calls: list[tuple[Any, ...]] = [
            ("read", b"12345"),
            ("peek", b"12345"),
            ("write", 3, 3),
            ("writelines", None, 4),
            ("readlines", [b"1", b"23"]),
            ("seek", 7),
        ]
        assert all(log.call(1, file, *call) for call in calls)
        assert log.lines == []
        assert log.call(1, file, "close")
        assert log.call(1, file, "close")
    log.streams.end()

    (line,) = log.lines
    assert line.endswith(": 7 calls, 8 bytes read, 7 written, 3500.0 ms")


def test_text_file(log: Log) -> None:
    """Of a text file characters are counted."""
    with open("/dev/null", encoding="utf-8") as file:
        log.call(1, file, "__next__", "äöü\n")
        log.call(1, file, "__next__", error="StopIteration")
        assert log.lines == []
        log.streams.end()

    assert log.lines == ["is done with TextIOWrapper: 1 call, 4 characters read, 0 written, 500.0 ms"]


def test_iterator(log: Log) -> None:
    """An iterator has one line, when it ends; clients that read ahead ask more often than that."""
    iterator = generate()
    for _ in range(2):
        assert log.call(3, iterator, "__next__", 5)
    for _ in range(3):
        assert log.call(3, iterator, "__next__", error="StopIteration")

    assert log.lines == ["is done with generator: 2 items, 1000.0 ms"]


def test_failure(log: Log) -> None:
    """A call that fails has a line of its own."""
    with open("/dev/null", "rb") as file:
        assert not log.call(1, file, "read", error="OSError")
        assert not log.call(2, generate(), "__next__", error="ValueError")


def test_object_that_is_dropped(log: Log) -> None:
    """What the client drops without closing it has its line then."""
    iterator = generate()
    log.call(1, iterator, "__next__", 5)
    del iterator
    gc.collect()
    log.streams.end()

    assert log.lines == ["is done with generator: 1 item, 500.0 ms"]


def generate() -> Iterator[int]:
    """A generator."""
    yield 5


class Slots(ServerObject):
    """An iterator to which there are no weak references, with a method besides."""

    __slots__ = ()

    def __iter__(self) -> Iterator[int]:
        return self

    def __next__(self) -> int:
        return 5

    def set_speed(self, speed: int) -> None:
        """Anything."""


def test_other_objects(log: Log) -> None:
    """The methods of other objects, and other methods of iterators, have a line for each call."""
    board = Slots()
    assert log.call(1, board, "__next__", 5)
    assert not log.call(1, board, "set_speed")
    assert not log.call(2, [1], "append")
    assert not log.call(0, None, "f")
    log.streams.end()

    assert log.lines == ["is done with Slots: 1 item, 500.0 ms"]


def test_files_in_memory_are_no_server_objects(log: Log) -> None:
    """They are copied, so the client has none."""
    assert not log.call(1, [io.BytesIO()], "read", b"1")


def test_class_name() -> None:
    """The name of a class is found whatever its metaclass says."""

    class Meta(type):
        @property
        def __name__(cls) -> str:  # type: ignore[override]
            raise RuntimeError

    assert class_name(Meta("A", (), {})()) == "A"
