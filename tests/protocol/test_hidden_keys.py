"""Keys and their texts as values that nothing prints by accident."""

from __future__ import annotations

import copy
import logging
import pickle
import pprint
import reprlib
from collections.abc import Callable
from typing import Any

import pytest

from easycluster_protocol.keys import (
    KEY_SIZE,
    HiddenText,
    Key,
    decode_key,
    generate_key,
    hide,
    name_type,
    read_key_file,
    write_key_file,
)

PLAIN = b"0123456789abcdefghijklmnopqrstuv"
KEY = Key(PLAIN)

SHOWING: list[Callable[[Any], str]] = [
    repr,
    str,
    ascii,
    format,
    "{:>40}".format,
    "{!r}".format,
    "%s".__mod__,
    "%r".__mod__,
    reprlib.repr,
    pprint.pformat,
    lambda value: repr(value[:10]),
    lambda value: repr([value, {"key": value}]),
    lambda value: logging.LogRecord("x", 1, "x", 1, "%s", (value,), None).getMessage(),
]


@pytest.mark.parametrize("show", SHOWING)
@pytest.mark.parametrize("value", [KEY, HiddenText(PLAIN.decode())])
def test_nothing_shows_it(value: Any, show: Callable[[Any], str]) -> None:
    """Whatever a program does to print a value, not even a part of a key comes out."""
    shown = show(value)

    assert not any(PLAIN.decode()[at : at + 3] in shown for at in range(KEY_SIZE - 2))


def test_it_is_bytes() -> None:
    """A key equals its plain bytes and does what they do, on purpose also showing them."""
    assert isinstance(KEY, bytes)
    assert KEY == PLAIN
    assert PLAIN == KEY
    assert hash(KEY) == hash(PLAIN)
    assert {PLAIN: 1}[KEY] == 1
    assert KEY[:4] == b"0123"
    assert KEY[-1] == PLAIN[-1]
    assert KEY.hex() == PLAIN.hex()
    assert type(bytes(KEY)) is bytes
    assert bytes(KEY) == PLAIN
    assert len(KEY) == KEY_SIZE
    assert not Key()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_it_travels_to_children(protocol: int) -> None:
    """A key can be pickled and copied, and stays hidden."""
    for copied in (pickle.loads(pickle.dumps(KEY, protocol)), copy.copy(KEY), copy.deepcopy(KEY)):
        assert copied == PLAIN
        assert type(copied) is Key


def test_whatever_makes_keys_makes_hidden_ones(tmp_path: Any) -> None:
    """Random keys, those of digits and texts, and those of files are hidden."""
    write_key_file(tmp_path / "x.key", PLAIN)
    made = [
        generate_key(),
        decode_key(PLAIN.hex()),
        decode_key("s3cret"),
        decode_key(bytes(bytearray(PLAIN))),
        decode_key(bytes(range(0x80, 0xA0))),
        decode_key(""),
        read_key_file(tmp_path / "x.key"),
    ]

    assert {type(key) for key in made} == {Key}
    assert made[-1] == PLAIN
    assert made[-2] == b""


def test_hiding() -> None:
    """Texts and bytes are hidden, other values are left as they are, and messages name the type of before."""
    assert hide(None) is None
    assert hide(5) == 5
    hidden = hide("s3cret")
    assert hidden == "s3cret"
    assert str.__str__(hidden) == "s3cret"
    assert [name_type(hide(value)) for value in ("", b"", bytearray(), None)] == [
        "str",
        "bytes",
        "bytearray",
        "NoneType",
    ]
