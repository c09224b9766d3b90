from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given, strategies as st

from easycluster_protocol._limits import MAX_TABLE_ENTRIES
from easycluster_protocol._wire import messages as m
from easycluster_protocol._wire.messages import HEAD_SIZE, Message, pack_head, parse_head
from easycluster_protocol.errors import LocalProtocolError, RemoteProtocolError
from helpers.pair import FUZZ, messages_of

ANY_MESSAGE = messages_of("client") | messages_of("server")

#: The kinds that other versions know. What stands here never changes; new kinds are added.
FROZEN_KINDS = {
    1: "CALL",
    2: "INVOKE",
    3: "RESULT",
    4: "FAILURE",
    5: "CANCEL",
    6: "RELEASE",
    7: "CREDIT",
    8: "PING",
    9: "PONG",
    10: "STOP_THREAD",
    11: "CLOSE",
    12: "STATUS_QUERY",
    13: "STATUS",
    14: "MODULES",
    15: "REFERENCES",
}


def head(kind: int = m.CALL, references: int = 0, releases: int = 0, buffers: int = 0) -> bytes:
    """An envelope that announces tables and does not hold them."""
    return struct.pack(">B3xIIIqQQ", kind, references, releases, buffers, 0, 1, 0)


def test_kinds_are_frozen() -> None:
    """Every kind that was ever published means what it meant then."""
    assert m.KIND_NAMES == FROZEN_KINDS
    assert {getattr(m, name): name for name in FROZEN_KINDS.values()} == FROZEN_KINDS


def test_envelope_on_the_wire() -> None:
    """An envelope is the bytes of the documentation."""
    message = Message(
        m.INVOKE, 258, b"body", thread=-2, buffers=[b"abc"], references=[7], releases=[(9, 3), (10, 1)]
    )

    assert pack_head(message).hex() == (
        "02000000"  # kind, reserved
        "000000010000000200000001"  # references, releases, buffers
        "fffffffffffffffe00000000000001020000000000000004"  # thread, request, body
        "0000000000000007"  # a reference
        "000000000000000900000003000000000000000a00000001"  # two releases
        "0000000000000003"  # a buffer
    )  # fmt: skip


@FUZZ
@given(ANY_MESSAGE, st.binary(max_size=20), st.binary(max_size=20))
def test_round_trip(message: Message, before: bytes, after: bytes) -> None:
    """Every field of every message is parsed as it was packed, wherever the envelope stands."""
    packed = pack_head(message)

    parsed, body, buffers, size = parse_head(before + packed + after, len(before))

    assert (body, list(buffers)) == (len(message.body), [len(buffer) for buffer in message.buffers])
    assert size == len(packed)
    parsed.body, parsed.buffers = message.body, message.buffers
    assert parsed == message


@pytest.mark.parametrize(
    "fields",
    [
        {"request": -1},
        {"request": 2**64},
        {"request": 1.5},
        {"thread": 2**63},
        {"thread": -(2**63) - 1},
        {"kind": 256},
        {"references": [-1]},
        {"references": [2**64]},
        {"releases": [(1, 2**32)]},
        {"releases": [(-1, 1)]},
    ],
    ids=str,
)
def test_fields_out_of_range(fields: dict[str, Any]) -> None:
    """A field that the wire cannot carry raises an error of this end that shows the message."""
    with pytest.raises(LocalProtocolError, match="out of range"):
        pack_head(Message(**{"kind": m.CALL, **fields}))


@pytest.mark.parametrize(
    "tables",
    [
        {"references": range(MAX_TABLE_ENTRIES + 1)},
        {"releases": [(1, 1)] * (MAX_TABLE_ENTRIES + 1)},
        {"buffers": [b""] * (MAX_TABLE_ENTRIES + 1)},
    ],
    ids=["references", "releases", "buffers"],
)
def test_tables_that_are_too_long_to_send(tables: dict[str, Any]) -> None:
    """A table that would not fit a frame is an error of this end."""
    with pytest.raises(LocalProtocolError, match=f"more than {MAX_TABLE_ENTRIES} entries"):
        pack_head(Message(m.CALL, **tables))


def test_full_tables() -> None:
    """Tables as long as they may be arrive whole."""
    message = Message(
        m.CALL,
        references=range(MAX_TABLE_ENTRIES),
        releases=[(index, index) for index in range(MAX_TABLE_ENTRIES)],
        buffers=[b""] * MAX_TABLE_ENTRIES,
    )

    parsed, _, buffers, _ = parse_head(pack_head(message))

    assert list(parsed.references) == list(message.references)
    assert list(parsed.releases) == list(message.releases)
    assert list(buffers) == [0] * MAX_TABLE_ENTRIES


@pytest.mark.parametrize(
    ("data", "fragment"),
    [
        (b"", "cut short"),
        (head()[:-1], "cut short"),
        (head(kind=0), "unknown kind 0"),
        (head(kind=16), "unknown kind 16"),
        (head(kind=255), "unknown kind 255"),
        (head(references=1), "tables of an envelope are cut short"),
        (head(references=1) + bytes(7), "tables of an envelope are cut short"),
        (head(releases=1) + bytes(11), "tables of an envelope are cut short"),
        (head(buffers=1) + bytes(7), "tables of an envelope are cut short"),
        (head(references=MAX_TABLE_ENTRIES + 1), f"more than {MAX_TABLE_ENTRIES} entries"),
        (head(releases=2**32 - 1), f"more than {MAX_TABLE_ENTRIES} entries"),
        (head(buffers=2**32 - 1), f"more than {MAX_TABLE_ENTRIES} entries"),
    ],
)
def test_envelopes_that_are_refused(data: bytes, fragment: str) -> None:
    """An envelope that is cut short, unknown or too large is refused, before its tables are looked at."""
    with pytest.raises(RemoteProtocolError, match=fragment):
        parse_head(data)


def test_reserved_bytes_are_not_looked_at() -> None:
    """A later version may use the three reserved bytes without a new kind of message."""
    data = bytearray(head())
    data[1:4] = b"\1\2\3"

    message, *_ = parse_head(data)

    assert message == Message(m.CALL, 1)


@FUZZ
@given(st.binary(max_size=HEAD_SIZE + 60))
def test_any_envelope_is_parsed_or_refused(data: bytes) -> None:
    """Any bytes are either an envelope or refused."""
    try:
        message, body, buffers, size = parse_head(data)
    except RemoteProtocolError:
        return

    assert HEAD_SIZE <= size <= len(data)
    assert size == HEAD_SIZE + 8 * len(message.references) + 12 * len(message.releases) + 8 * len(buffers)
    assert body >= 0


@FUZZ
@given(
    st.sampled_from(sorted(FROZEN_KINDS)),
    st.tuples(*[st.integers(0, 3)] * 3),
    st.binary(max_size=100),
)
def test_any_tables_are_parsed_or_refused(kind: int, counts: tuple[int, int, int], rest: bytes) -> None:
    """Announced tables are read from what is there, and never from beyond it."""
    data = head(kind, *counts) + rest
    needed = 8 * counts[0] + 12 * counts[1] + 8 * counts[2]
    if needed > len(rest):
        with pytest.raises(RemoteProtocolError):
            parse_head(data)
        return

    message, _, buffers, size = parse_head(data)

    assert (len(message.references), len(message.releases), len(buffers)) == counts
    assert size == HEAD_SIZE + needed


def test_repr_shows_sizes_only() -> None:
    """The repr names kind, call and thread, and no bytes of the user's."""
    assert repr(Message(m.CALL, 7, b"secret", 3)) == "<CALL request 7 thread 3, 6 bytes>"
    assert repr(Message(99)) == "<99 request 0 thread 0, 0 bytes>"


def test_equality() -> None:
    """Messages are equal when every field is, however its bytes are held."""
    one = Message(m.CALL, 1, b"body", 2, [b"buffer"], [3], [(4, 5)])
    same = Message(m.CALL, 1, memoryview(b"body"), 2, (bytearray(b"buffer"),), (3,), ([4, 5],))  # type: ignore[arg-type]  # a pair that is a list

    assert one == same
    assert one != Message(m.CALL, 1, b"body", 2, [b"buffer"], [3], [(4, 6)])
    assert one != "a message"
