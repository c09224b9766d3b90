from __future__ import annotations

import pickle
import struct
import sys
from typing import Any

import pytest
from hypothesis import example, given, strategies as st

from easycluster_protocol._handshake import hello as hello_module
from easycluster_protocol._handshake.hello import FIELDS, Hello, describe_self
from easycluster_protocol._handshake.hello_parser import parse_hello
from easycluster_protocol.errors import RemoteProtocolError
from helpers.pair import FUZZ

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "text": st.text(st.characters(exclude_categories=["Cs"]), max_size=50),
    "number": st.integers(0, 2**64 - 1),
    "bytes": st.binary(max_size=50),
}

HELLOS = st.fixed_dictionaries({}, optional={name: VALUES[form] for name, form, _ in FIELDS.values()})

#: The tags that other versions know. What stands here never changes; new tags are added.
FROZEN_TAGS = {
    1: ("protocol_low", "number"),
    2: ("protocol_high", "number"),
    3: ("version", "text"),
    4: ("python", "text"),
    5: ("implementation", "text"),
    6: ("byteorder", "text"),
    7: ("pickle_protocol", "number"),
    8: ("codecs", "text"),
    9: ("capabilities", "text"),
    10: ("nonce", "bytes"),
    11: ("key_id", "bytes"),
    12: ("tls", "number"),
    13: ("upgrade", "text"),
    14: ("compress", "number"),
    15: ("credit", "number"),
    16: ("purpose", "number"),
    17: ("session", "bytes"),
    18: ("host", "text"),
    19: ("text", "text"),
    20: ("code", "text"),
    21: ("proof", "bytes"),
    22: ("platform", "text"),
    23: ("process", "number"),
}


def fields_of(hello: Hello) -> dict[str, Any]:
    """Every field of a packet, given or not."""
    return {name: getattr(hello, name) for name, _, _ in FIELDS.values()}


def field(tag: int, value: bytes) -> bytes:
    """One field as it is written."""
    return struct.pack(">BH", tag, len(value)) + value


def test_tags_are_frozen() -> None:
    """Every tag that was ever published means what it meant then."""
    assert {tag: (name, form) for tag, (name, form, _) in FIELDS.items()} == FROZEN_TAGS


def test_fields_on_the_wire() -> None:
    """Fields are written as the documentation says, in the order of their tags."""
    hello = Hello(text="é", tls=2, nonce=b"\1\2")

    assert hello.encode().hex(" ", 1) == (
        "0a 00 02 01 02 0c 00 08 00 00 00 00 00 00 00 02 13 00 02 c3 a9"  # nonce, tls, text
    )


@FUZZ
@given(HELLOS)
def test_round_trip(fields: dict[str, Any]) -> None:
    """Every field arrives as it was given, and those that were not given have their default."""
    defaults = {name: default for name, _, default in FIELDS.values()}

    received = parse_hello(Hello(**fields).encode())

    assert fields_of(received) == {**defaults, **fields}
    assert received.encode() == Hello(**fields).encode()


@FUZZ
@given(HELLOS, st.integers(24, 255), st.binary(max_size=20))
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
        (field(3, b"a") + field(3, b"a"), "version stands twice"),
        (field(3, b"\xff"), "version cannot be read"),
        (field(3, "\ud800".encode("utf-8", "surrogatepass")), "version cannot be read"),
        (field(12, b""), "tls cannot be read"),
        (field(12, bytes(7)), "tls cannot be read"),
        (field(12, bytes(9)), "tls cannot be read"),
    ],
)
def test_fields_that_cannot_be_read(data: bytes, fragment: str) -> None:
    """What is cut short, stands twice or has the wrong form is refused by its name."""
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


def test_text_of_the_system_can_always_be_written() -> None:
    """A host name or message that is no valid Unicode is sent with a replacement, not an error."""
    assert parse_hello(Hello(host="a\ud800b").encode()).host == "a?b"


def test_own_description() -> None:
    """What this process says of itself is true, and further fields stand beside it."""
    own = describe_self(tls=1)

    assert own.python.split(".")[:2] == [str(part) for part in sys.version_info[:2]]
    assert own.implementation == sys.implementation.name
    assert own.byteorder == sys.byteorder
    assert own.platform == sys.platform
    assert own.pickle_protocol == pickle.HIGHEST_PROTOCOL
    assert (own.protocol_low, own.protocol_high) == hello_module.PROTOCOL_VERSIONS
    assert own.version == hello_module.VERSION
    assert own.codecs == "zlib"
    assert own.tls == 1


def test_repr_hides_what_proves() -> None:
    """The repr shows the fields that were given, but neither nonce nor proof."""
    hello = Hello(nonce=b"n" * 32, proof=b"p" * 32, text="hi", tls=1)

    assert repr(hello) == "Hello(text='hi', tls=1)"


def test_names_that_do_not_exist() -> None:
    """A misspelt field is an error when it is given and when it is asked for."""
    with pytest.raises(TypeError, match="no handshake field named 'tsl'"):
        Hello(tsl=1)
    with pytest.raises(AttributeError, match="tsl"):
        _ = Hello().tsl  # type: ignore[attr-defined]  # as a program without types may
