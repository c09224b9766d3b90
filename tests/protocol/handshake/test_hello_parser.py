"""The fields of a packet that the peer sent are read or refused."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import example, given, strategies as st

from easycluster_protocol._handshake.hello import Hello
from easycluster_protocol._handshake.hello_parser import parse_hello
from easycluster_protocol.errors import RemoteProtocolError
from helpers.hellos import HELLOS, fields_of
from helpers.pair import FUZZ


def field(tag: int, value: bytes) -> bytes:
    """One field as it is written."""
    return struct.pack(">BH", tag, len(value)) + value


@FUZZ
@given(HELLOS, st.integers(25, 255), st.binary(max_size=20))
def test_unknown_fields_are_skipped(fields: dict[str, Any], tag: int, value: bytes) -> None:
    """A field of a later version, wherever it stands, changes nothing."""
    data = Hello(**fields).encode()
    extra = field(tag, value)

    assert fields_of(parse_hello(extra + data + extra)) == fields_of(Hello(**fields))


@pytest.mark.parametrize(
    ("data", "fragment"),
    [
        (b"\x03", "cut short"),
        (b"\x03\x00", "cut short"),
        (b"\x03\x00\x05four", "cut short"),
        (b"\xff\xff\xff", "cut short"),
        (field(3, b"a") + field(3, b"a"), "version occurs twice"),
        (field(3, b"\xff"), "version cannot be read"),
        (field(3, "\ud800".encode("utf-8", "surrogatepass")), "version cannot be read"),
        (field(12, b""), "tls cannot be read"),
        (field(12, bytes(7)), "tls cannot be read"),
        (field(12, bytes(9)), "tls cannot be read"),
    ],
)
def test_fields_that_cannot_be_read(data: bytes, fragment: str) -> None:
    """A field that is cut short, occurs twice or has the wrong form is refused by its name."""
    with pytest.raises(RemoteProtocolError, match=fragment):
        parse_hello(data)


@FUZZ
@example(b"")
@given(st.binary(max_size=100) | HELLOS.map(lambda fields: Hello(**fields).encode()[:-1]))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    """Any bytes are either fields, which can be written and read again, or refused."""
    try:
        hello = parse_hello(data)
    except RemoteProtocolError:
        return

    assert fields_of(parse_hello(hello.encode())) == fields_of(hello)
    assert len(hello.encode()) <= len(data)
