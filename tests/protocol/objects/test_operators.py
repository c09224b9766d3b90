"""The special methods that can be exported."""

from __future__ import annotations

from easycluster_protocol._objects.operators import (
    OBSOLETE_OPERATORS,
    OPERATORS,
    can_be_exported,
    describe_names,
)


def test_operators() -> None:
    """Of special methods those can be exported that operators and built-in functions call."""
    for name in ("__add__", "__iter__", "__next__", "__getitem__", "__call__", "__repr__", "__exit__"):
        assert can_be_exported(name)
    for name in ("__new__", "__del__", "__setattr__", "__reduce_ex__", "__subclasshook__", "__weakref__"):
        assert not can_be_exported(name)


def test_operators_of_python_2() -> None:
    """Those are others."""
    assert not OPERATORS & OBSOLETE_OPERATORS


def test_lists_of_names() -> None:
    """Names are listed in order; of very many there is only the number."""
    assert describe_names(["b", "a"], []) == "the methods a, b and the attributes (none)"
    many = describe_names([f"method_{number}" for number in range(500)], ["x"])
    assert many == "500 methods and 1 attributes, which dir() of the proxy lists"
