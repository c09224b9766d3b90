from __future__ import annotations

import pickle
import sys
from typing import Any

import pytest
from hypothesis import given

from easycluster_protocol._handshake import hello as hello_module
from easycluster_protocol._handshake.hello import FIELDS, Hello, describe_self
from easycluster_protocol._handshake.hello_parser import parse_hello
from helpers.hellos import HELLOS, fields_of
from helpers.pair import FUZZ

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
    24: ("keep_alive", "number"),
}


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


def test_text_of_the_system_can_always_be_written() -> None:
    """A host name or message that is no valid Unicode is sent with a replacement, not an error."""
    assert parse_hello(Hello(host="a\ud800b").encode()).host == "a?b"


def test_own_description() -> None:
    """The description of this process is true, and may have further fields."""
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
