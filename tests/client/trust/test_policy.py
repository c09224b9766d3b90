"""Tests for easycluster_client._trust.policy."""

from __future__ import annotations

import enum

import pytest

from easycluster_client._trust.names import load
from easycluster_client._trust.policy import Policy, chooses_constructor, find_defined, is_defined


class Plain:
    """A class of the script."""


class Own:
    """A class that says how it is pickled."""

    def __reduce__(self) -> tuple[type, tuple[()]]:
        return Own, ()


class Color(enum.Enum):
    """An enumeration."""

    RED = 1


def test_trusted_classes() -> None:
    """A class is trusted once it was named; another one of the same name is not."""
    policy = Policy()
    assert not policy.is_named(Plain)
    policy.trust(Plain)
    assert policy.is_named(Plain)
    assert not policy.is_named(type("Plain", (), {"__module__": __name__}))


def test_plain_values() -> None:
    """Plain values are loaded by Python itself."""
    assert load(Policy(), b"\x80\x04]N\x61.") == [None]


def test_descriptions() -> None:
    """The names of proxies have a limit for each client; a description that comes again counts once."""
    policy = Policy()
    for _ in range(1000):
        policy.count_description((tuple(f"a{n}" for n in range(1000)), (), (), True))
    with pytest.raises(ValueError, match="too many classes"):
        for number in range(1000):
            policy.count_description(((f"b{number}",) * 1000, (), (), True))
    with pytest.raises(ValueError, match="too many classes"):
        Policy().count_description((("a" * 5_000_000,), (), (), True))


def test_classes_of_definitions() -> None:
    """Only definitions modules define classes for others."""
    assert find_defined(__name__, "Plain") is None
    assert not is_defined(Plain)


def test_constructors() -> None:
    """A class that says how it is pickled, and an enumeration, may be called."""
    assert chooses_constructor(Own)
    assert chooses_constructor(Color)
    assert not chooses_constructor(Plain)
    assert not chooses_constructor(ValueError)
