"""Iterators over sequences that stay are recognised, and stay."""

from __future__ import annotations

import array
from collections import deque
from typing import Any

import pytest

from easycluster_protocol._objects.exports import ServerObject
from easycluster_protocol._objects.proxy_classes import SelfIterProxy
from easycluster_protocol._values.iterators import is_sequence_iterator
from easycluster_protocol._values.object_pickle import dumps_result, loads_result
from helpers.fake_proxies import Numbers, answering


class Stays(list, ServerObject):  # type: ignore[type-arg]
    """A sequence that stays on the server."""


class ByItems:
    """Is iterated over by its items."""

    def __getitem__(self, index: int) -> int:
        raise IndexError(index)


@pytest.mark.parametrize(
    "iterator",
    [
        iter([]),
        iter(()),
        iter(bytearray()),
        iter(array.array("B")),
        iter(deque[int]()),
        iter(ByItems()),
        reversed([]),
        reversed(()),
        reversed(deque[int]()),
    ],
    ids=lambda iterator: type(iterator).__name__,
)
def test_iterators_over_sequences(iterator: Any) -> None:
    """They are recognised: each is pickled as its sequence and a position."""
    assert is_sequence_iterator(type(iterator))


@pytest.mark.parametrize(
    "sequence",
    [{}, {1}, "text", range(3), (number for number in range(3))],
    ids=["dict", "set", "str", "range", "generator"],
)
def test_other_iterators(sequence: Any) -> None:
    """Other iterators are not."""
    assert not is_sequence_iterator(type(iter(sequence)))


def test_iterators_over_what_stays() -> None:
    """An iterator over a server object stays at its position; one over a copied sequence is copied."""
    here, there = iter(Stays([1, 2, 3])), iter([1, 2, 3])
    next(here)
    next(there)

    body, _, named = dumps_result([here, there], 5, Numbers())
    with answering():
        stays, copied = loads_result(body, ())

    assert list(named) == [8]
    assert type(stays) is SelfIterProxy
    assert list(copied) == [2, 3]
