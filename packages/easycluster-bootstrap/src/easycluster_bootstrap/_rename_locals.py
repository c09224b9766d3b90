"""Finds short names for the local variables of functions and comprehensions.

Names that other code may use stay: parameters, because callers may pass them by name; functions and
classes, because they know their names; imports; ``self``, by which Python 3.13 recognizes the attributes of
a class. Names in f-strings stay, too, and all names of a function that may look its variables up by name, as
with ``eval``.

The letters are given in the order in which the variables first stand in the source. So the first few
letters are frequent everywhere, and similar functions become even more similar: both compress well.
"""

from __future__ import annotations

import ast
from typing import Dict, Iterator, List, Set, Tuple

from easycluster_bootstrap._scopes import Place, Scope, ScopeReader

_LETTERS = "etaoinsrlcdumpfhgbvwkyxjqz"


def find_renames(tree: ast.Module) -> Dict[Place, str]:
    """Return the places where a variable stands that can be renamed, each with its new name, a letter."""
    scopes = ScopeReader(tree)
    renames: Dict[Place, str] = {}
    if not scopes.shows_locals:
        _rename(scopes.module, scopes.fixed, renames)
    return renames


def _rename(scope: Scope, fixed: Set[str], renames: Dict[Place, str]) -> None:
    """Rename the variables of a scope, then those of the scopes inside it."""
    if scope.is_local and not scope.shows_locals:
        taken = fixed.union(_current_names(scope, renames))
        letters = (letter for letter in _LETTERS if letter not in taken)
        for places, letter in zip(_variables(scope, fixed), letters):
            renames.update(dict.fromkeys(places, letter))
    for inner in scope.inner:
        _rename(inner, fixed, renames)


def _variables(scope: Scope, fixed: Set[str]) -> List[List[Place]]:
    """Return the places of each variable that can be renamed, ordered by their first ones."""
    found: List[List[Place]] = []
    for name in scope.bound - fixed:
        places = scope.find_places(name)
        if places is not None and len(name) > 1 and not name.startswith("__") and name != "self":
            found.append(sorted(places, key=_position))
    return sorted(found, key=lambda places: _position(places[0]))


def _position(place: Place) -> Tuple[int, int]:
    return place.lineno, place.col_offset


def _current_names(scope: Scope, renames: Dict[Place, str]) -> Iterator[str]:
    """Yield all names in a scope and in the scopes inside it, renamed as far as they are by now."""
    yield from scope.bound
    for name, places in scope.places.items():
        for place in places:
            yield renames.get(place, name)
    for inner in scope.inner:
        yield from _current_names(inner, renames)
