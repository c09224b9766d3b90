"""Frames: the unit that is sent, checked and, on keyed connections, authenticated.

The wire format; all numbers are big-endian::

    offset  size  field
    0       1     kind      MESSAGES, BEGIN, DATA or ABORT
    1       1     flags     bit 0: the payload is compressed
    2       2     reserved  zero
    4       4     stream    the large message that this frame belongs to; 0 for MESSAGES
    8       4     length    of the payload as it is sent, at most 1 MiB
    12      4     check     CRC-32 of the 12 bytes before it
    16      16    tag       only on keyed connections: the frame's MAC
    16/32   ...   payload

The tag stands before the payload, so that a receiver that knows the length can receive the payload
directly to its place. It is HMAC-SHA256 (RFC 2104), cut to its first 16 bytes, over the
frame's number in its direction (8 bytes, from 0), the 16 bytes of the header, and the payload.
"""

from __future__ import annotations

import struct
import zlib
from functools import lru_cache
from typing import TYPE_CHECKING, Iterable, Tuple
from zlib import crc32

from easycluster_protocol._limits import MAX_FRAME_BYTES
from easycluster_protocol.errors import RemoteProtocolError

if TYPE_CHECKING:
    from easycluster_protocol._types import Buffer

    #: kind, flags, stream, length
    FrameHeader = Tuple[int, int, int, int]

MESSAGES = 1  # one or more complete messages, one after the other
BEGIN = 2  # the head of a large message: its envelope and the lengths of its parts
DATA = 3  # the next bytes of one part (body or buffer) of a large message
ABORT = 4  # the rest of a large message will not follow

KIND_NAMES = {MESSAGES: "MESSAGES", BEGIN: "BEGIN", DATA: "DATA", ABORT: "ABORT"}

COMPRESSED = 1

HEADER_SIZE = 16
TAG_SIZE = 16

_FIELDS = struct.Struct(">BBHII")
_CHECK = struct.Struct(">I")
_HEADER = struct.Struct(">BBHIII")


def pack_header(kind: int, flags: int, stream: int, length: int) -> bytes:
    """Return the 16 bytes of a header."""
    fields = _FIELDS.pack(kind, flags, 0, stream, length)
    return fields + _CHECK.pack(crc32(fields))


# The headers of small messages differ in their lengths only, so most have been packed before.
@lru_cache(maxsize=1024)
def pack_messages_header(length: int) -> bytes:
    """Return the header of a MESSAGES frame that is not compressed."""
    return pack_header(MESSAGES, 0, 0, length)


@lru_cache(maxsize=1024)
def parse_header(header: bytes) -> FrameHeader:
    """Return the fields of a header of 16 bytes.

    Raises:
        RemoteProtocolError: it is not a legal header.
    """
    kind, flags, reserved, stream, length, check = _HEADER.unpack_from(header)
    if check != crc32(header[:12]):
        raise RemoteProtocolError(f"the peer sent something that is not a frame: {header!r}")
    if kind not in KIND_NAMES or reserved or flags & ~COMPRESSED or length > MAX_FRAME_BYTES:
        raise RemoteProtocolError(
            f"the peer sent an illegal frame: kind {kind}, flags {flags:#x}, length {length}"
        )
    return kind, flags, stream, length


def decompress(payload: Buffer) -> bytes:
    """Return the payload of a compressed frame; never more than `MAX_FRAME_BYTES` bytes.

    Raises:
        RemoteProtocolError: the payload is not in zlib's format, is cut short, or would be larger than a
            frame may be.
    """
    engine = zlib.decompressobj()
    try:
        data = engine.decompress(payload, MAX_FRAME_BYTES + 1)
    except zlib.error as error:
        raise RemoteProtocolError(f"a compressed frame cannot be read: {error}") from error
    if len(data) > MAX_FRAME_BYTES or not engine.eof or engine.unused_data:
        raise RemoteProtocolError("a compressed frame is cut short or larger than a frame may be")
    return data


def count_bytes(buffers: Iterable[Buffer]) -> int:
    """Return the number of bytes in all ``buffers``."""
    return sum(map(len, buffers))
