"""Tests for easycluster_client._trust.own_names."""

from __future__ import annotations

import os
import sys
from functools import partial
from types import ModuleType
from typing import Any, NamedTuple

import pytest

from easycluster_client._trust import own_names
from easycluster_client._trust.policy import Policy
from easycluster_client._trust.untrusted import UntrustedName


class Items(tuple):  # type: ignore[type-arg]
    """A class of tuples without names."""

    __slots__ = ()


class Pair(NamedTuple):
    """A class that is here, and not trusted."""

    a: int
    b: int


def test_named_tuples(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tuple of a class that is unknown here arrives as an equal one; no module is imported for it, and a class that
    is known has to be trusted."""
    monkeypatch.delitem(sys.modules, "antigravity", raising=False)
    policy = Policy()

    made: Any = own_names.make_named(policy, ("antigravity", "Row", ("a", "class")), (1, 2))

    assert made == (1, 2)
    assert made.a == 1
    assert "antigravity" not in sys.modules
    description = (__name__, "Pair", ("a", "b"))
    with pytest.raises(UntrustedName, match="Pair"):
        own_names.make_named(policy, description, (1, 2))
    policy.trust(Pair)
    assert type(own_names.make_named(policy, description, (1, 2))) is Pair


def test_other_tuples_are_no_named_ones() -> None:
    """A class of tuples without names, which would make its items of any argument, is not made as a named tuple."""
    policy = Policy()
    policy.trust(Items)
    for make in (own_names.make_named, partial(own_names.make_struct, others={})):
        with pytest.raises(ValueError, match="named tuple"):
            make(policy, (__name__, "Items", ()), (range(10**12),))


def test_structs() -> None:
    """Tuples of Python's own are of their class."""
    size = ("os", "terminal_size", ("columns", "lines"))
    assert own_names.make_struct(Policy(), size, (1, 2), {}) == os.terminal_size((1, 2))
    assert type(own_names.make_struct(Policy(), size, (1, 2), {})) is os.terminal_size
    with pytest.raises(TypeError):
        own_names.make_struct(Policy(), size, (1, 2, 3), {})


@pytest.mark.parametrize(
    "description",
    [
        5,
        ("a", "b"),
        ("a", 5, ()),
        ("a", "b c", ()),
        ("a\x1b", "b", ()),
        ("a", "b", (5,)),
        ("a", "b", ("x",) * 9999),
    ],
)
def test_malformed_descriptions(description: Any) -> None:
    """What no server describes is an error."""
    with pytest.raises(ValueError, match="no named tuple"):
        own_names.make_named(Policy(), description, ())


def test_methods() -> None:
    """Only proxies have methods that may be named."""
    for find in (own_names.find_method, own_names.find_refused_method):
        with pytest.raises(ValueError, match="no method"):
            find(ModuleType("module"), "name")


def test_arguments_of_exceptions() -> None:
    """Exceptions whose text could not be made are none."""
    value: Any = []
    for _ in range(60):
        value = [value, value]
    with pytest.raises(ValueError, match="no exception"):
        own_names.make_exception(ValueError, (value,))
    with pytest.raises(ValueError, match="no exception"):
        own_names.make_exception(SystemExit, ())
    assert own_names.make_exception(ValueError, ("a\x1b", 5)).args == ("a\\x1b", 5)
