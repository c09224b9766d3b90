r"""Frames the parts of a bundle.

A frame is a header line of fixed length, then the data::

    EasyCluster1 00001893\n    name and version of the format, then the length of the data in bytes

The short line (`_command`) reads it on the host, where this module does not exist.
"""

from __future__ import annotations

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
