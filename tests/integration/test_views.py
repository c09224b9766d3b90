"""Views and iterators of dictionaries and sequences that stay on the server."""

from __future__ import annotations

from typing import Any

import pytest

from helpers.server_objects import KEPT

pytestmark = pytest.mark.usefixtures("object_definitions")

MORE = """
import collections

class Store(dict, ServerObject):
    def both(self):
        return [self.items(), {"keys": self.keys()}]

class Mapped(collections.UserDict, ServerObject):
    '''Its views are those of `collections.abc`.'''

class Row(list, ServerObject):
    def rest(self):
        iterator = iter(self)
        next(iterator)
        return iterator
    def backwards(self):
        return {"reversed": reversed(self)}

def keep(value):
    stored = Store(value=value, thing=Thing(5))
    return stored

def describe(view):
    return type(view).__name__, list(view)
"""


@pytest.mark.parametrize("name", ["Store", "Mapped"])
def test_a_dictionary_that_stays(far: Any, name: str) -> None:
    """Its views hold the pairs, so it can be copied by `dict` and passed as keyword arguments."""
    stored = getattr(far, name)(a=1, b=2)

    assert list(stored.items()) == [("a", 1), ("b", 2)]
    assert (list(stored.keys()), list(stored.values())) == (["a", "b"], [1, 2])
    assert ("b", 2) in stored.items()
    assert dict(stored) == {**stored} == dict(**stored) == {"a": 1, "b": 2}


def test_objects_in_views(far: Any) -> None:
    """Server objects in a view are proxies; views stand anywhere in a result, and are arguments, too."""
    stored = far.keep(3)
    thing = dict(stored.items())["thing"]

    assert thing is stored["thing"]
    assert (thing.value, thing in stored.values()) == (5, True)
    items, keys = stored.both()
    assert (len(items), keys["keys"] & {"value"}) == (2, {"value"})
    assert far.describe({1: 2}.items()) == ("dict_items", [(1, 2)])


def test_iterators(far: Any) -> None:
    """An iterator over a sequence that stays goes on from its position, on the server."""
    row = far.Row([1, 2, 3])
    rest = row.rest()
    row.append(4)

    assert list(rest) == [2, 3, 4]
    assert list(row.backwards()["reversed"]) == [4, 3, 2, 1]
    assert list(far.call("iter", row)) == [1, 2, 3, 4]


def test_views_are_copies(near: Any) -> None:
    """A view of an answer does not follow its dictionary, and keeps nothing on the server."""
    stored = near.Store(a=1)
    view = stored.items()
    stored["b"] = 2

    assert list(view) == [("a", 1)]
    assert near.eval(KEPT) == 1
