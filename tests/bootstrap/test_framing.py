from __future__ import annotations

import pytest

from easycluster_bootstrap._framing import (
    HEADER_LENGTH,
    LENGTH_AT,
    frame,
    has_piece_of,
    is_from_terminal,
    is_header_returned,
)


def test_the_header_says_the_length() -> None:
    """A frame is a line of fixed length, which names the format and the number of bytes, then the data."""
    framed = frame(b"data")

    assert framed == b"EasyCluster1 00000004\ndata"
    assert int(framed[LENGTH_AT:HEADER_LENGTH]) == 4


def test_frame_longer_than_its_header_can_say_is_refused() -> None:
    """A part of 100 MB or more is refused instead of getting a header of another length."""

    class Long(bytes):
        def __len__(self) -> int:
            return 10**8

    with pytest.raises(ValueError, match="100000000 bytes"):
        frame(Long())


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (b"Welcome!\r\nEasyCluster1 00017000\r\n\x00", True),
        (b"Welcome!\r\nmarker\r\n", True),
        (b"Welcome!\r\nEasyCluster1 00017000\n", False),
        (b"Welcome!\r\nmarker\n\r", False),
        (b"", False),
    ],
)
def test_terminals_are_recognised(output: bytes, expected: bool) -> None:
    """A terminal gives back the header of our bundle, or our marker, with a carriage return at its end."""
    assert is_from_terminal(output, b"marker") is expected


def test_what_comes_back() -> None:
    """Pieces of compressed data that come back are found among others, as they are and not by accident."""
    sent = frame(bytes(range(256)))

    assert is_header_returned(b"Welcome!\n" + sent)
    assert not is_header_returned(sent.replace(b"\n", b"\r\n"))
    assert has_piece_of(b"^C noise" + sent[200:208] + b"noise", sent)
    assert not has_piece_of(b"noise" + sent[200:207] + b"noise", sent)
    assert not has_piece_of(b"EasyCluster1 00000256\n0123456789", sent)
    assert not has_piece_of(b"", sent)
    assert not has_piece_of(bytes(range(200, 256)), b"")
