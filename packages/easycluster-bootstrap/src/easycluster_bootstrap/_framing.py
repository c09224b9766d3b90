r"""How the parts of a bundle are marked off on the wire.

Each part is a frame: a header line of fixed length, then the data::

    EasyCluster1 00001893\n    name and version of the format, then the length of the data in bytes

The short line (`_line`) and the stage (`_stage`) read it on the host; neither can import this module.
"""

from __future__ import annotations

MAGIC = b"EasyCluster1 "

LENGTH_AT = len(MAGIC)
"""Where in a header the length begins."""

HEADER_LENGTH = LENGTH_AT + len(b"00000000\n")


def frame(data: bytes) -> bytes:
    """Return `data` behind its header line.

    Raises:
        ValueError: `data` is longer than the header can say.
    """
    if len(data) >= 10**8:
        raise ValueError(f"a bundle can carry parts of less than 100 MB, not {len(data)} bytes")
    return b"%s%08d\n%s" % (MAGIC, len(data), data)
