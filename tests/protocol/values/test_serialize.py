from __future__ import annotations

import functools
import pickle
import platform
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

from easycluster_protocol._limits import OUT_OF_BAND_BYTES
from easycluster_protocol._values import serialize
from easycluster_protocol._wire.messages import CALL, Message, pack_head
from easycluster_protocol.errors import DeserializationError, SerializationError
from helpers.pair import FUZZ

PROTOCOLS = range(2, pickle.HIGHEST_PROTOCOL + 1)

SIMPLE = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()
VALUES = st.recursive(
    SIMPLE, lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(), values, max_size=3)
)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@FUZZ
@given(value=VALUES)
def test_round_trip(protocol: int, value: Any) -> None:
    """Values come back as they were, with every pickle protocol that a peer may ask for."""
    body, buffers = serialize.dumps(value, protocol)

    assert serialize.loads(memoryview(body), buffers=buffers) == value


@pytest.mark.parametrize(("size", "count"), [(OUT_OF_BAND_BYTES, 1), (OUT_OF_BAND_BYTES - 1, 0)])
def test_large_arrays_leave_the_pickle(size: int, count: int) -> None:
    """The memory of a large array travels beside the pickle and is not copied; that of a small one is in it."""
    array = np.arange(size, dtype=np.uint8)

    body, buffers = serialize.dumps({"array": array}, 5)

    assert len(buffers) == count
    if count:
        assert np.shares_memory(np.frombuffer(buffers[0], np.uint8), array)
        assert len(body) < 1000
    assert (serialize.loads(body, buffers=buffers)["array"] == array).all()


def test_buffers_are_flat_bytes() -> None:
    """A buffer is a view of bytes, whatever the array's shape, order and type, so that its length is its size."""
    array = np.asfortranarray(np.arange(OUT_OF_BAND_BYTES, dtype=np.float64).reshape(64, -1))

    body, buffers = serialize.dumps(array, 5)

    assert [(len(each), memoryview(each).format) for each in buffers] == [(8 * OUT_OF_BAND_BYTES, "B")]
    received = serialize.loads(body, buffers=[memoryview(bytearray(buffers[0]))])
    assert (received == array).all()
    assert received.flags.f_contiguous
    assert received.flags.writeable


def test_arrays_that_are_not_contiguous() -> None:
    """An array with gaps between its elements arrives as well."""
    array = np.arange(4 * OUT_OF_BAND_BYTES)[::2]

    body, buffers = serialize.dumps(array, 5)

    assert (serialize.loads(body, buffers=buffers) == array).all()


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_older_protocols_keep_all_in_the_pickle(protocol: int) -> None:
    """Where a peer knows no buffers, there are none."""
    array = np.zeros(OUT_OF_BAND_BYTES)

    body, buffers = serialize.dumps(array, protocol)

    assert buffers == ()
    assert (serialize.loads(body) == array).all()


def test_more_buffers_than_a_message_has_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A value with more large buffers than fit the table of a message is sent all the same."""
    monkeypatch.setattr(serialize, "MAX_TABLE_ENTRIES", 2)
    value = [np.full(OUT_OF_BAND_BYTES, number, np.uint8) for number in range(4)]

    body, buffers = serialize.dumps(value, 5)

    assert len(buffers) == 2
    pack_head(Message(CALL, 1, body, buffers=buffers))
    assert [each[0] for each in serialize.loads(body, buffers=buffers)] == [0, 1, 2, 3]


def test_values_that_cannot_be_pickled() -> None:
    """The error of pickle is kept as the cause, and the message names the value's part in the call."""
    with pytest.raises(Exception, match="pickle") as caught:
        serialize.dumps(lambda: None, 5)

    explained = serialize.explain_dumps("argument 2 of f", caught.value)

    assert type(explained) is SerializationError
    assert str(explained).startswith("argument 2 of f cannot be sent: ")
    assert explained.__cause__ is caught.value


def test_values_that_cannot_be_rebuilt() -> None:
    """The receiver's error is kept as the cause, and explained."""
    error = AttributeError("Can't get attribute 'X'")

    explained = serialize.explain_loads("the result of f", error)

    assert type(explained) is DeserializationError
    assert (
        str(explained)
        == f"the result of f arrived but cannot be rebuilt here (Python {platform.python_version()}):"
        " AttributeError: Can't get attribute 'X'"
    )
    assert explained.__cause__ is error


class Speechless(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


class NoText(Exception):
    def __str__(self) -> Any:  # a mistake of a user's
        return None


class HostileText(str):
    __slots__ = ()

    def __format__(self, specification: str) -> str:
        raise RuntimeError("no format")

    def __bool__(self) -> bool:
        raise RuntimeError("no truth")


class Hostile(Exception):
    def __str__(self) -> str:
        return HostileText("text")


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("no"), "ValueError: no"),
        (ValueError(), "ValueError"),
        (KeyError("k"), "KeyError: 'k'"),
        (Speechless(), "Speechless: <its text is not available>"),
        (NoText(), "NoText: <its text is not available>"),
        (Hostile(), "Hostile: text"),
    ],
)
def test_describe(error: Exception, text: str) -> None:
    """An exception is described by type and text, also when it cannot be asked for its text."""
    described = serialize.describe(error)

    assert described == text
    assert type(described) is str


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_pickles_that_are_cut_short(protocol: int) -> None:
    """A pickle that is not whole is an exception that can be explained, wherever it was cut."""
    body, _ = serialize.dumps({"a": [1, 2.5, "text", b"bytes"], "b": ValueError("no")}, protocol)
    for size in range(len(body)):
        with pytest.raises((EOFError, pickle.UnpicklingError, ValueError)) as caught:
            serialize.loads(body[:size])

        assert "arrived but" in str(serialize.explain_loads("a value", caught.value))


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (len, "len"),
        (str.upper, "str.upper"),
        (dict, "dict"),
        (functools.partial(len), "partial"),
        (PROTOCOLS.index, "range.index"),
    ],
)
def test_names_of_functions(function: Callable[..., Any], name: str) -> None:
    """A function has its qualified name, and a callable object that has none the name of its class."""
    assert serialize.name_function(function) == name
