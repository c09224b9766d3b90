"""Tests for easycluster_client._trust.names."""

from __future__ import annotations

import enum
import pickle
import sys
from collections.abc import Iterator
from typing import Any

import pytest

import easycluster
from easycluster_client._trust.names import load
from easycluster_client._trust.policy import Policy
from easycluster_client._trust.untrusted import UntrustedName
from easycluster_protocol._pickling import UnpicklingError
from helpers.malicious import built, called, name, pickled, put

MODULE = "names.under.test"

DEFINITIONS = """
import enum
class Plain:
    def __init__(self, value):
        self.value = value
class Own(Plain):
    def __reduce__(self):
        return Own, (self.value,)
class Color(enum.Enum):
    RED = 1
class Text(bytes):
    pass
class Slots:
    __slots__ = ('a',)
def function():
    pass
alias = dict
"""


class Ours:
    """A class of the script."""

    def __init__(self, value: Any = None) -> None:
        self.value = value


@pytest.fixture
def module() -> Iterator[Any]:
    """A definitions module."""
    made = easycluster.definitions_module(MODULE)
    made.define(DEFINITIONS)
    yield made
    sys.modules.pop(MODULE)


def test_objects_of_definitions(module: Any) -> None:
    """Objects of classes of definitions are made without the constructor; a class that asks for it gets it."""
    slots = module.Slots()
    slots.a = 5
    for value in (module.Plain(5), module.Own(6), module.Color.RED, slots):
        loaded = load(Policy(), pickle.dumps(value, 4))
        assert type(loaded) is type(value)
        assert getattr(loaded, "__dict__", None) == getattr(value, "__dict__", None)
    assert loaded.a == 5


@pytest.mark.parametrize(
    "value",
    [
        called(name(MODULE, "Plain"), 5),
        name(MODULE, "function"),
        name(MODULE, "alias"),
        name(MODULE, "enum.Enum"),
        name(MODULE, "Plain.__init__"),
        name(MODULE, "__builtins__"),
        called(name(MODULE, "Text"), 10**12),
        called(name("builtins", "dict"), 1, 2, 3),
        put(name("builtins", "object")) + b")\x81",
    ],
)
def test_what_definitions_do_not_give(module: Any, value: bytes) -> None:
    """Nothing else of definitions may be named, and no constructor called."""
    with pytest.raises((UntrustedName, ValueError)):
        load(Policy(), b"\x80\x04" + value + b".")


def test_states(module: Any) -> None:
    """A state sets attributes of objects, and none of classes, of enumerations, and no special ones."""
    plain = name(MODULE, "Plain") + b")\x81"
    assert load(Policy(), pickled(built(plain, {"a": 1}))).a == 1
    for target, state in (
        (name(MODULE, "Plain"), (None, {"a": 1})),
        (called(name(MODULE, "Color"), 1), {"a": 1}),
        (plain, {"__class__": 1}),
        (plain, (None, {"__class__": 1})),
        (plain, {5: 1}),
        (plain, 5),
    ):
        with pytest.raises(UnpicklingError):
            load(Policy(), pickled(built(target, state)))
    assert module.Color.RED.value == 1


def test_classes_of_the_script() -> None:
    """A class that the script names may be called, by its full name."""
    policy = Policy()
    body = pickled(called(name(__name__, "Ours"), 5))
    with pytest.raises(UntrustedName, match=f"{__name__}.Ours"):
        load(policy, body)
    policy.trust(Ours)
    assert load(policy, body).value == 5
    assert load(policy, pickle.dumps(Ours(6))).value == 6


def test_functions_are_no_values() -> None:
    """A function that may be called does nothing as a value."""
    (value,) = load(Policy(), pickled([name("builtins", "iter")]))

    assert not callable(value)
    assert repr(value) == "<name of iter>"
    assert enum.Enum not in Policy().classes.values()
