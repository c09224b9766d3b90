"""How deep values are in each other.

Python computes the hash of a tuple, and frees a `deque` or an array of objects, by a recursion that nothing
limits: too deep a value ends the process. And values that hold one value twice, which holds another one
twice, and so on, are small, but computing their hash never ends.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from easycluster_protocol._pickling import UnpicklingError

if TYPE_CHECKING:
    from easycluster_protocol._types import Value

#: Deeper than any pickler goes by itself, and well within the stack of a thread.
_MOST_DEPTH = 1000

#: The most values in a value, each counted as often as it can be reached, beyond what the size of the pickle
#: explains.
_MOST_VALUES = 1 << 24


class Nesting:
    """Notes the values of one pickle that are dangerous in each other.

    Args:
        size: the size of the pickle.
    """

    def __init__(self, size: int) -> None:
        self._most_values = _MOST_VALUES + 4 * size
        #: The depth of a value, and how many values are in it, by its id.
        self._known: dict[int, tuple[int, int]] = {}
        #: The ids of the values that are in others.
        self._used: set[int] = set()
        #: Keeps the values, so that no other one gets an id of theirs.
        self._kept: list[Value] = []

    def note(self, value: Value, items: Iterable[Value]) -> None:
        """Note a value that gets its items now, and no others later.

        Raises:
            UnpicklingError: it is too deep, or there is too much in it.
        """
        self._set(value, *self._measure(items, 1, 1))

    def grow(self, value: Value, items: Iterable[Value]) -> None:
        """Note that a value gets further items.

        Raises:
            UnpicklingError: as `note`; or it is in others already, which become deeper with it.
        """
        before = self._known.get(id(value), (1, 1))
        depth, count = self._measure(items, *before)
        if depth > before[0] and id(value) in self._used:
            raise UnpicklingError(f"a {type(value).__name__} gets items after it became an item itself")
        self._set(value, depth, count)

    def _set(self, value: Value, depth: int, count: int) -> None:
        if depth > _MOST_DEPTH or count > self._most_values:
            raise UnpicklingError(f"a {type(value).__name__} is nested too deeply")
        if id(value) not in self._known:
            self._kept.append(value)
        self._known[id(value)] = depth, count

    def _measure(self, items: Iterable[Value], depth: int, count: int) -> tuple[int, int]:
        known = self._known
        for item in items:
            count += 1
            if id(item) in known:
                deep, many = known[id(item)]
                depth, count = max(depth, deep + 1), count + many
                self._used.add(id(item))
        return depth, count
