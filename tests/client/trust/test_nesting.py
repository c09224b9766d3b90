"""Tests for easycluster_client._trust.nesting."""

from __future__ import annotations

from collections import deque
from typing import Any

import pytest

from easycluster_client._trust.nesting import Nesting
from easycluster_protocol._pickling import UnpicklingError


def test_depth() -> None:
    """Values may be in each other down to some depth."""
    nesting = Nesting(100)
    value: Any = ()
    with pytest.raises(UnpicklingError, match="a tuple is nested too deeply"):
        for _ in range(1001):
            items = [value]
            value = tuple(items)
            nesting.note(value, items)
    assert nesting is not None


def test_shared_values() -> None:
    """A value counts as often as it can be reached."""
    nesting = Nesting(100)
    value: Any = ()
    count = 0
    with pytest.raises(UnpicklingError):
        for count in range(100):  # noqa: B007 -- it is looked at below
            items = [value, value]
            value = tuple(items)
            nesting.note(value, items)
    assert 20 < count < 30


def test_growing() -> None:
    """A value that is in another one does not become deeper later."""
    nesting = Nesting(100)
    outer: Any = deque()
    inner: Any = deque()
    nesting.grow(outer, [inner])
    nesting.grow(inner, [1, 2])
    nesting.grow(outer, [inner])
    nesting.note(outer, [inner])
    with pytest.raises(UnpicklingError, match="a deque gets items after it became an item itself"):
        nesting.grow(inner, [outer])
