from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from easycluster_server._system import error_stream
from easycluster_server._system.error_stream import print_error, print_lines


@pytest.fixture
def stream() -> Iterator[tuple[io.TextIOWrapper, int]]:
    """A text stream on a pipe, and the end to read from."""
    reading, writing = os.pipe()
    with open(writing, "w", encoding="ascii") as file:
        yield file, reading
    os.close(reading)


def test_stream_on_a_descriptor(
    stream: tuple[io.TextIOWrapper, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the program printed itself comes first; what the encoding lacks is escaped."""
    monkeypatch.setattr(sys, "stderr", stream[0])
    stream[0].write("begun ")
    assert print_error("ä\n")

    assert os.read(stream[1], 100) == b"begun \\xe4\n"


def test_reader_that_stops(stream: tuple[io.TextIOWrapper, int]) -> None:
    """It is waited for once, and then not before it reads; what was lost is counted."""
    os.set_blocking(stream[0].fileno(), False)
    try:
        while True:
            os.write(stream[0].fileno(), bytes(4096))
    except BlockingIOError:
        os.set_blocking(stream[0].fileno(), True)
    assert not print_lines(stream[0], "one\n", patience=1)
    assert not print_lines(stream[0], "two\n", patience=10**9)

    while len(os.read(stream[1], 1 << 16)) == 1 << 16:
        if print_lines(stream[0], "three\n"):
            break
    assert os.read(stream[1], 100) == b"easycluster: 2 lines could not be printed here\nthree\n"


class Failing:
    """The user's, and fails."""

    def write(self, text: str) -> None:
        raise RuntimeError(text)


@pytest.mark.parametrize("broken", [None, "closed", Failing()])
def test_streams_that_fail(broken: Any) -> None:
    """Nothing is raised."""
    if broken == "closed":
        broken = io.TextIOWrapper(io.BytesIO())
        broken.close()

    assert not print_lines(broken, "line\n")


def test_streams_of_the_user() -> None:
    """A stream that is no file of Python's is written to by its own methods."""
    text = io.StringIO()
    binary = io.BytesIO()

    class Stream(io.TextIOWrapper):
        def fileno(self) -> int:
            return 2

    other = Stream(binary, encoding="ascii")
    assert print_lines(text, "ä\n")
    assert print_lines(other, "ä\n")

    assert (text.getvalue(), binary.getvalue()) == ("ä\n", b"\\xe4\n")


def test_no_stream_is_kept() -> None:
    """A stream that was replaced is not kept open."""
    before = len(error_stream._outputs)
    file = open(os.devnull, "w", encoding="ascii")  # noqa: SIM115
    assert print_lines(file, "line\n")
    file.close()
    del file

    assert len(error_stream._outputs) == before
