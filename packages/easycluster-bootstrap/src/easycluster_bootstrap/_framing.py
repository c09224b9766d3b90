r"""Frames the parts of a bundle.

A frame is a header line of fixed length, then the data::

    EasyCluster1 00001893\n    name and version of the format, then the length of the data in bytes

The short line (`_command`) reads it on the host, where this module does not exist.
"""

from __future__ import annotations

import re

MAGIC = b"EasyCluster1 "

LENGTH_AT = len(MAGIC)
"""The index in a header at which the length begins."""

HEADER_LENGTH = LENGTH_AT + len(b"00000000\n")


def frame(data: bytes) -> bytes:
    """Return `data` behind its header line.

    Raises:
        ValueError: `data` is longer than the header can say.
    """
    if len(data) >= 10**8:
        raise ValueError(f"a bundle can carry parts of less than 100 MB, not {len(data)} bytes")
    return b"%s%08d\n%s" % (MAGIC, len(data), data)


#: So many bytes of compressed data are never the same by accident.
_PIECE = 8


def is_from_terminal(output: bytes, marker: bytes) -> bool:
    """Return whether a terminal has written this: it gives our header back, or changes the marker's line end.

    Args:
        output: a part of what the host sent.
        marker: the marker that our code writes there.
    """
    return marker + b"\r" in output or re.search(re.escape(MAGIC) + rb"\d{8}\r", output) is not None


def is_header_returned(output: bytes) -> bool:
    """Return whether a header has come back as it was sent, as by ``cat``."""
    return re.search(re.escape(MAGIC) + rb"\d{8}\n", output) is not None


def has_piece_of(output: bytes, sent: bytes) -> bool:
    """Return whether a part of the compressed data that was sent has come back.

    A terminal gives it back in pieces: some bytes are commands to it.
    """
    pieces = (output[start : start + _PIECE] for start in range(len(output) - _PIECE + 1))
    return any(piece in sent for piece in pieces if max(piece) > 0x7F)
