"""Tests for easycluster_client._trust.machine."""

from __future__ import annotations

import pickle
from collections import OrderedDict, defaultdict, deque
from typing import Any

import pytest

from easycluster_client._trust.names import LoadedNames
from easycluster_client._trust.policy import Policy
from easycluster_protocol._pickling import UnpicklingError


def load(body: Any, *buffers: Any) -> Any:
    """Load a pickle by the machine, whatever is in it."""
    return LoadedNames(Policy(), None, 0).load(body, buffers)


SHARED: list[Any] = [1]
RECURSIVE: list[Any] = []
RECURSIVE.append((RECURSIVE,))

VALUES: list[Any] = [
    None,
    [True, False, 0, 255, 256, -1, 2**40, -(2**5000), 2**3000, 1.5],
    ["", "a" * 300, "é\ud800", b"", b"x" * 300, bytearray(b"abc")],
    [(), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4), ((((1,),),),)],
    [{}, {1: 2}, {1: 2, 3: 4}, set(), {1, 2}, frozenset(), frozenset([1, 2])],
    [SHARED, SHARED],
    OrderedDict(a=1, b=[2]),
    defaultdict(list, {1: [2]}),
    deque([1, 2, 3], 5),
    list(range(2000)),
    {str(n): n for n in range(2000)},
]


@pytest.mark.parametrize("protocol", [4, 5])
@pytest.mark.parametrize("value", VALUES, ids=range(len(VALUES)))
def test_values(value: Any, protocol: int) -> None:
    """What picklers write is loaded as Python does."""
    loaded = load(pickle.dumps(value, protocol))

    assert loaded == value
    assert type(loaded) is type(value)
    assert repr(loaded) == repr(value)


def test_shared_values() -> None:
    """A value that is there twice is the same one; a value may be in itself."""
    first, second = load(pickle.dumps([SHARED, SHARED], 4))
    assert first is second
    recursive = load(pickle.dumps(RECURSIVE, 4))
    assert recursive[0][0] is recursive
    recursive = load(pickle.dumps(RECURSIVE[0], 4))
    assert recursive[0][0] is recursive


def test_buffers() -> None:
    """Buffers beside the pickle are taken in order."""
    buffers: list[Any] = []
    data = [pickle.PickleBuffer(b"first"), pickle.PickleBuffer(bytearray(b"second"))]
    body = pickle.dumps(data, 5, buffer_callback=buffers.append)

    first, second = load(body, b"first", bytearray(b"second"))

    assert bytes(first) == b"first"
    assert first.readonly
    assert second == bytearray(b"second")
    with pytest.raises(UnpicklingError, match="buffer missing"):
        load(body, b"first")


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"\x80\x04", "cut short"),
        (b"\x80\x04.", "malformed"),
        (b"\x80\x04X\xff\0\0\0a.", "cut short"),
        (b"\x80\x04a.", "malformed"),
        (b"\x80\x04e.", "malformed"),
        (b"\x80\x04\x86.", "malformed"),
        (b"\x80\x04h\0.", "malformed"),
        (b"\x80\x04}(K\1u.", "malformed"),
        (b"\x80\x04Nr\xff\xff\xff\x7f.", "an opcode 0x72 in it, which hosts do not need"),
        (b"\x80\x04cos\nsystem\n.", "opcode 0x63"),
        (b"\x80\x04K\1K\2R.", "no tuple"),
        (b"\x80\x04K\1)R.", "it calls a int"),
        (b"\x80\x04K\1)\x81.", "something that is no class"),
        (b"\x80\x04K\1)K\1\x92.", "no dictionary"),
        (b"\x80\x04K\1K\1a.", "it adds items to a int"),
        (b"\x80\x04K\1K\1K\1s.", "it adds items to a int"),
        (b"\x80\x04K\1(K\1\x90.", "it adds items to a int"),
        (b"\x80\x04K\1K\1b.", "it sets the state of a int"),
        (b"\x80\x04K\1Q.", "a server object in a wrong way"),
        (b"\x80\x04\x8b\0\x40\0\0" + b"\x7f" * 0x4000 + b"\x94.", "a long integer is in it more than once"),
    ],
)
def test_malformed_pickles(body: bytes, text: str) -> None:
    """What no pickler writes is an error that says what it is."""
    with pytest.raises(UnpicklingError, match=text):
        load(body)
