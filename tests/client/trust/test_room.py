"""Tests for easycluster_client._trust.room."""

from __future__ import annotations

import array
import enum
import fractions
import pathlib
import pickle
import types
from collections import Counter, deque
from typing import Any

import numpy as np
import pytest

import easycluster
from easycluster_client._trust.names import load
from easycluster_client._trust.policy import Policy
from easycluster_client._trust.room import Room, count_values
from easycluster_protocol._objects.proxies import RemoteProxy
from easycluster_protocol._pickling import UnpicklingError
from easycluster_protocol._values.serialize import dumps
from helpers.malicious import Raw, called, name, pickled, put

MODULE = "room.under.test"

DEFINITIONS = """
import array, collections, enum, fractions
import numpy as np
class Bytes(bytes):
    pass
class Tuple(tuple):
    pass
class Frozen(frozenset):
    pass
class Text(str):
    pass
class Fraction(fractions.Fraction):
    pass
class Counter(collections.Counter):
    pass
class Deque(collections.deque):
    pass
class Array(array.array):
    pass
class Matrix(np.ndarray):
    pass
class Void(np.void):
    pass
class Point(collections.namedtuple('Point', 'x y')):
    pass
class Flags(enum.IntFlag):
    A = 1
    B = 2
class Plain:
    def __init__(self, *args):
        self.args = args
    def __reduce__(self):
        return Plain, self.args
"""


@pytest.fixture(autouse=True)
def module(no_definitions: None) -> Any:
    """A definitions module."""
    made = easycluster.definitions_module(MODULE)
    made.define(DEFINITIONS)
    return made


def made(cls: str, *args: Any) -> Raw:
    """Return the opcodes of an object that is made without the constructor."""
    return Raw(name(MODULE, cls) + put(args) + b"\x81")


RANGE = called(name("builtins", "range"), 10**12)
ITERATOR = called(name("builtins", "iter"), called(name("builtins", "range"), 1 << 70))
INTEGER = called(
    name("numpy._core.multiarray", "scalar"),
    Raw(
        called(name("numpy", "dtype"), "i8", False, True) + put((3, "<", None, None, None, -1, -1, 0)) + b"b"
    ),
    (10**12).to_bytes(8, "little"),
)
#: Few lists, the last of which has 2 to the power of 60 items in it.
DEEP = Raw(b"]\x94" + b"".join(b"](h%ch%ce\x94" % (n, n) for n in range(60)))

GROWING = {
    "number": made("Bytes", 10**12),
    "number of NumPy": made("Bytes", INTEGER),
    "tuple of a range": made("Tuple", RANGE),
    "tuple of an iterator": made("Tuple", ITERATOR),
    "set of a range": made("Frozen", RANGE),
    "bytes of a range": made("Bytes", RANGE),
    "text of a deep list": Raw(put([]) + DEEP + b"0" * 60 + b"0" + made("Text", Raw(b"h\x3c"))),
    "fraction": called(name(MODULE, "Fraction"), "1e1000000000"),
    "counter of a range": called(name(MODULE, "Counter"), RANGE),
    "deque of a range": called(name(MODULE, "Deque"), RANGE),
    "array of a range": called(name(MODULE, "Array"), "q", RANGE),
    "shape": made("Matrix", (10**6, 10**6)),
    "shape by a call": called(name(MODULE, "Matrix"), [10**6, 10**6]),
    "size of a scalar": called(name(MODULE, "Void"), 2_000_000_000),
    "flags": called(name(MODULE, "Flags"), "A"),
}


@pytest.mark.parametrize("value", GROWING.values(), ids=GROWING)
def test_arguments_that_stand_for_many(value: Raw) -> None:
    """Classes of definitions that derive from those of a library take no sizes, ranges and the like without end."""
    with pytest.raises((UnpicklingError, ValueError)):
        load(Policy(), pickled(value))


def test_small_sizes(module: Any) -> None:
    """What is of a bearable size is made."""
    assert load(Policy(), pickled(made("Bytes", 5))) == bytes(5)
    assert load(Policy(), pickled(made("Tuple", called(name("builtins", "range"), 5)))) == (0, 1, 2, 3, 4)
    assert load(Policy(), pickled(made("Text", 10**12))) == "1000000000000"
    assert load(Policy(), pickled(made("Point", RANGE, 1))).x == range(10**12)
    assert load(Policy(), pickled(called(name(MODULE, "Plain"), 10**12, RANGE))).args[0] == 10**12


def test_objects_of_a_server() -> None:
    """A container is not filled by asking a server for each item."""
    proxy: Any = object.__new__(RemoteProxy)
    with pytest.raises(UnpicklingError, match="items of a server object"):
        Room(0).take_object(type("Items", (list,), {}), (proxy,))


def test_flags_without_end(module: Any) -> None:
    """The class keeps each combination of flags, so there are only so many."""
    policy = Policy()
    assert load(policy, pickle.dumps(module.Flags(3), 4)) == module.Flags(3)
    with pytest.raises(ValueError, match="too many combinations"):
        for number in range(1 << 17):
            policy.count_flags(enum.IntFlag, (number,))


def test_honest_values(module: Any) -> None:
    """Values that hosts send, many of them and sharing parts, have room."""
    text = "a text that many have" * 10
    values = [
        [pathlib.PurePosixPath(text) for _ in range(5000)],
        [Counter(range(10)) for _ in range(1000)],
        [deque(range(100)) for _ in range(100)],
        [module.Point(text, number) for number in range(5000)],
        [module.Tuple((number, text)) for number in range(5000)],
        [module.Bytes(bytes(1000)) for _ in range(1000)],
        [types.SimpleNamespace(a=text, b=number) for number in range(3000)],
        [fractions.Fraction(number, 7) for number in range(3000)],
        [array.array("d", range(1000)) for _ in range(50)],
        [np.float64(number) for number in range(2000)],
        [np.arange(1000), np.array([None, "a"] * 1000, object)],
        [bytearray(1000) for _ in range(1000)],
    ]
    for value in values:
        assert str(load(Policy(), *dumps(value, 5))) == str(value)


def test_copies() -> None:
    """A copy takes room each time, however often the value is in the pickle."""
    room = Room(0)
    for value in (bytes(1 << 20), [None] * 20_000, dict.fromkeys(range(20_000)), np.arange(20_000)):
        with pytest.raises(UnpicklingError, match="far more memory than its size explains"):
            for _ in range(20):
                room.take_copies((value,))
        room = Room(0)
        room.take_copies((value,))


def test_texts() -> None:
    """Texts that are written visibly are copied, in what describes an exception as well."""
    room = Room(0)
    with pytest.raises(UnpicklingError):
        for _ in range(5):
            room.take_texts({"attributes": {"a": "x" * 1_000_000}})


def test_count() -> None:
    """Each value counts as often as it is there, and counting ends."""
    inner = [1, 2]
    assert count_values((inner, inner, {3: 4}), 100) == 9
    deep: Any = []
    for _ in range(60):
        deep = [deep, deep]
    assert count_values((deep,), 1000) == 1001
