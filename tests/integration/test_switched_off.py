"""Operators that a class switches off by the value None: its proxies do not have them either."""

from __future__ import annotations

import operator
from collections.abc import Callable, Container, Hashable, Iterable, Reversible
from typing import Any

import pytest

import easycluster

pytestmark = pytest.mark.usefixtures("object_definitions")

MORE = """
class Off(ServerObject):
    '''Could be iterated over by its items, if it had not switched that off.'''
    __iter__ = __contains__ = __reversed__ = __hash__ = __bool__ = __add__ = __call__ = __repr__ = None
    def __getitem__(self, index):
        if index > 2:
            raise IndexError(index)
        return index
    def __len__(self):
        return 3
    def __radd__(self, other):
        return "never"

class Equal(ServerObject):
    def __eq__(self, other):
        return True

class Listed(Equal):
    export_methods = "__eq__"

class Chosen(Equal):
    export_methods = "check"
    def check(self):
        return True
"""

OFF: list[Callable[[Any], object]] = [
    iter,
    reversed,
    hash,
    bool,
    lambda off: 1 in off,
    lambda off: off + 1,
    lambda off: off(),
    lambda off: operator.add(off, off),
]


@pytest.mark.parametrize("use", OFF, ids=["iter", "reversed", "hash", "bool", "in", "add", "call", "both"])
def test_what_is_off(far: Any, use: Callable[[Any], object]) -> None:
    """A proxy, and a view of it, raise the TypeError that the object raises; Python asks for no substitute."""
    proxy = far.Off()

    for each in proxy, easycluster.options(proxy, timeout=60):
        with pytest.raises(TypeError):
            use(each)


def test_kinds(near: Any) -> None:
    """Abstract classes see it, what is on works, and a proxy has a repr all the same."""
    proxy = near.Off()

    assert not isinstance(proxy, (Hashable, Iterable, Container, Reversible))
    assert (proxy[1], len(proxy)) == (1, 3)
    assert repr(proxy).startswith("<RemoteProxy for oid 1 on local:")


def test_equal_objects(far: Any) -> None:
    """Two objects that are equal and have no hash cannot be in one set: neither can their proxies."""
    for name in "Equal", "Listed", "Vector":
        one, other = getattr(far, name)(), getattr(far, name)()

        assert one == other
        with pytest.raises(TypeError, match="unhashable type"):
            frozenset([one, other])


def test_equality_that_is_not_exported(near: Any) -> None:
    """Proxies without the operator of their objects compare by identity, and have the hash for it."""
    one, other = near.Chosen(), near.Chosen()

    assert len({one, other, one}) == 2
    assert one != other
