from __future__ import annotations

import struct
import zlib

import pytest
from hypothesis import given, strategies as st

from easycluster_protocol._limits import MAX_FRAME_BYTES
from easycluster_protocol._wire import frames
from easycluster_protocol.errors import RemoteProtocolError
from helpers.pair import FUZZ

KINDS = sorted(frames.KIND_NAMES)
STREAMS = st.integers(0, 2**32 - 1)


def with_check(fields: bytes) -> bytes:
    """12 bytes of a header, whatever they say, with a check that is right."""
    return fields + struct.pack(">I", zlib.crc32(fields))


def test_header_on_the_wire() -> None:
    """A header is the 16 bytes of the documentation."""
    header = frames.pack_header(frames.DATA, frames.COMPRESSED, 7, 1000)

    assert header.hex() == "0301000000000007000003e8" + "fa192ec6"
    assert frames.parse_header(header) == (frames.DATA, frames.COMPRESSED, 7, 1000)


@FUZZ
@given(st.sampled_from(KINDS), st.integers(0, 1), STREAMS, st.integers(0, MAX_FRAME_BYTES))
def test_header_round_trip(kind: int, flags: int, stream: int, length: int) -> None:
    """A packed header is parsed to the same fields."""
    header = frames.pack_header(kind, flags, stream, length)

    assert frames.parse_header(header) == (kind, flags, stream, length)


@pytest.mark.parametrize("length", [0, 1, MAX_FRAME_BYTES])
def test_header_of_messages(length: int) -> None:
    """The header of a frame of small messages is determined by its length."""
    assert frames.pack_messages_header(length) == frames.pack_header(frames.MESSAGES, 0, 0, length)


@pytest.mark.parametrize("bit", range(8 * frames.HEADER_SIZE))
def test_no_flipped_bit_passes(bit: int) -> None:
    """A header with any one bit flipped is no header, so no flipped bit ever asks for memory."""
    header = bytearray(frames.pack_header(frames.DATA, 0, 7, 1000))
    header[bit // 8] ^= 1 << bit % 8

    with pytest.raises(RemoteProtocolError, match="not a frame"):
        frames.parse_header(bytes(header))


@pytest.mark.parametrize(
    "fields",
    [
        struct.pack(">BBHII", 0, 0, 0, 0, 0),
        struct.pack(">BBHII", 5, 0, 0, 0, 0),
        struct.pack(">BBHII", frames.DATA, 2, 0, 0, 0),
        struct.pack(">BBHII", frames.DATA, 0x80, 0, 0, 0),
        struct.pack(">BBHII", frames.DATA, 0, 1, 0, 0),
        struct.pack(">BBHII", frames.DATA, 0, 0, 0, MAX_FRAME_BYTES + 1),
        struct.pack(">BBHII", frames.DATA, 0, 0, 0, 2**32 - 1),
    ],
    ids=["kind 0", "kind 5", "flag 1", "flag 7", "reserved", "too long", "longest"],
)
def test_illegal_headers_are_refused(fields: bytes) -> None:
    """A header whose check is right but whose fields are not allowed is refused, and says why."""
    with pytest.raises(RemoteProtocolError, match="illegal frame: kind"):
        frames.parse_header(with_check(fields))


def test_the_message_shows_what_came_instead_of_a_frame() -> None:
    """Foreign output between frames, such as a line of a shell, is shown in the error."""
    with pytest.raises(RemoteProtocolError, match="not a frame: b'bash: no job con'"):
        frames.parse_header(b"bash: no job con")


@FUZZ
@given(st.binary(min_size=16, max_size=16) | st.binary(min_size=12, max_size=12).map(with_check))
def test_any_header_is_parsed_or_refused(data: bytes) -> None:
    """Any 16 bytes are either a header that packs to the same bytes, or refused."""
    try:
        header = frames.parse_header(data)
    except RemoteProtocolError:
        return

    assert frames.pack_header(*header) == data


# Payloads.


PACKED = zlib.compress(b"payload" * 1000, 1)


@pytest.mark.parametrize(
    "payload",
    [b"", b"x", PACKED[:-1], PACKED[:10], PACKED + b"x", PACKED + PACKED, b"\0" + PACKED[1:]],
    ids=["empty", "no zlib", "cut by one", "cut short", "one more", "twice", "damaged"],
)
def test_compressed_payloads_that_cannot_be_read(payload: bytes) -> None:
    """A payload that is not exactly one zlib stream is refused."""
    with pytest.raises(RemoteProtocolError, match="compressed frame"):
        frames.decompress(payload)


@pytest.mark.parametrize("size", [MAX_FRAME_BYTES + 1, 100 * MAX_FRAME_BYTES])
def test_compressed_payloads_do_not_explode(size: int) -> None:
    """A small frame that would decompress to more than a frame may hold is refused, whatever its size."""
    engine = zlib.compressobj()
    bomb = engine.compress(bytes(size)) + engine.flush()
    assert len(bomb) < MAX_FRAME_BYTES

    with pytest.raises(RemoteProtocolError, match="larger than a frame"):
        frames.decompress(bomb)


@FUZZ
@given(st.binary() | st.binary().map(zlib.compress) | st.binary().map(lambda data: zlib.compress(data)[:-1]))
def test_any_compressed_payload_is_read_or_refused(payload: bytes) -> None:
    """Any bytes are decompressed to what zlib makes of them, or refused."""
    try:
        data = frames.decompress(payload)
    except RemoteProtocolError:
        return

    assert data == zlib.decompress(payload)


def test_count_bytes() -> None:
    """The size of what is sent counts bytes and views alike."""
    assert frames.count_bytes([b"abc", memoryview(b"de"), b""]) == 5
