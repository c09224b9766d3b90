"""The answers of a guardian, as the client reads them."""

from __future__ import annotations

import pytest

from easycluster_server._io.questions import Answer, parse_answer


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", None),
        (b"STATE: T 1.25\n", Answer("T", 1.25)),
        (b"STATE: ? 0\n", Answer("?", 0.0)),
        (b"STATE: R 1\nSTATE: S 2\nSTATE: D", Answer("S", 2.0)),
        (b"STATE: TT 1\n", None),
        (b"STATE: T 1", None),
        (b"anything\n", None),
    ],
)
def test_answers(data: bytes, expected: Answer | None) -> None:
    """The last complete answer counts; other bytes are none."""
    assert parse_answer(data) == expected


@pytest.mark.parametrize(("letter", "expected"), [("T", True), ("t", True), ("S", False), ("?", False)])
def test_stopped(letter: str, expected: bool) -> None:
    """Only a process that a signal or a debugger has stopped is stopped."""
    assert Answer(letter, 0.0).is_stopped is expected
