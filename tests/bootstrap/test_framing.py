from __future__ import annotations

import pytest

from easycluster_bootstrap._framing import HEADER_LENGTH, LENGTH_AT, frame


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
