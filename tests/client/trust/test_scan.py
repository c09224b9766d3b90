"""Tests for easycluster_client._trust.scan."""

from __future__ import annotations

import datetime as dt
import pickle
import random
from typing import Any

import pytest

from easycluster_client._trust.scan import is_plain

PLAIN: list[Any] = [
    None,
    5,
    -(2**40),
    2**5000,
    2.5,
    "text",
    "é" * 100,
    "x" * 1000,
    b"bytes",
    b"x" * 300,
    [],
    [1, [2.5, ()], {}],
    {"a": {1, 2}, "b": frozenset([3])},
    [(n, str(n), n / 2) for n in range(5000)],
    [{"name": f"n{n}", "value": [n] * 3} for n in range(2000)],
    [random.Random(1).random() for _ in range(5000)],
    list(range(-5000, 70_000, 7)),
    ["word" * (n % 40) for n in range(2000)],
]


@pytest.mark.parametrize("protocol", [4, 5])
@pytest.mark.parametrize("value", PLAIN, ids=range(len(PLAIN)))
def test_plain_values(value: Any, protocol: int) -> None:
    """Pickles of plain values are recognised, as bytes and as other memory."""
    body = pickle.dumps(value, protocol)

    assert is_plain(body)
    assert is_plain(memoryview(bytearray(body)))


@pytest.mark.parametrize("value", [dt.date(2026, 1, 1), int, [1j], object()])
def test_names(value: Any) -> None:
    """A pickle with a name is not plain, wherever the name is."""
    for each in (value, [1, value], {"a": ("b", value)}, [*range(3000), value]):
        assert not is_plain(pickle.dumps(each, 4))


@pytest.mark.parametrize("protocol", [0, 1, 2, 3])
def test_old_protocols(protocol: int) -> None:
    """Pickles of protocols that say where in the memo a value goes are not plain."""
    assert not is_plain(pickle.dumps(["text"], protocol))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x80\x04",
        b"\x80\x04N",
        b"\x80\x04NN.N",
        b"\x80\x04X\xff\xff\xff\xffab.",
        b"\x80\x04N2.",
        b"\x80\x04Nr\xff\xff\xff\x0f.",
        b"\x80\x04\x8b\1\0\0\0\1\x94.",
        b"\x80\x04K.",
        b"I5\n.",
    ],
)
def test_malformed_pickles(body: bytes) -> None:
    """What no pickler writes is not plain."""
    assert not is_plain(body)


def test_tuples() -> None:
    """Many tuples that are in tuples are not plain, as their hash may never end; a few are."""
    value: Any = None
    for _ in range(20):
        value = (value, [])
    assert is_plain(pickle.dumps(value, 4))
    for _ in range(20):
        value = (value, [])
    assert not is_plain(pickle.dumps(value, 4))
    shared = b"".join(b"h%ch%c\x86\x94" % (n, n) for n in range(60))
    assert not is_plain(b"\x80\x04N\x85\x94" + shared + b".")


@pytest.mark.parametrize("between", [b"\x95" + bytes(8), b"]", b"h\0", b"}", b")"])
def test_what_is_no_scalar(between: bytes) -> None:
    """A tuple counts as flat only if all its items are seen to be scalars."""
    assert not is_plain(b"\x80\x04N" + (b"K\1" + between + b"\x87") * 30 + b".")
