"""How much memory the values of one pickle may take.

What an opcode makes by itself is of the size of the opcode, more or less. A call is different: it is a few
bytes in the pickle, copies arguments that may be large and in it only once, and understands a number as a
size, or a range as its items. So whatever is called, or gets a state, has to find room for that.
"""

from __future__ import annotations

import operator
import sys
from collections import deque
from collections.abc import Iterable
from types import MappingProxyType
from typing import TYPE_CHECKING

from easycluster_protocol._objects.proxies import RemoteProxy
from easycluster_protocol._pickling import UnpicklingError

from .plain_names import FRACTION, ITERATORS
from .untrusted import is_class, is_instance, type_of

if TYPE_CHECKING:
    from easycluster_protocol._types import Args, Value

#: The room of a pickle: this, and so many bytes for each of its own.
_LEAST, _FOR_EACH_BYTE = 16 << 20, 256

#: What an item of a container takes at most where it is copied.
_ITEM_BYTES = 64

_TEXTS: tuple[Value, ...] = (str, bytes, bytearray)
_CONTAINERS: tuple[Value, ...] = (list, tuple, dict, set, frozenset, deque)
_EMPTY: dict[Value, Value] = {}
_VIEWS: tuple[Value, ...] = (
    type_of(_EMPTY.keys()),
    type_of(_EMPTY.values()),
    type_of(_EMPTY.items()),
    MappingProxyType,
)

#: The most values in what becomes a text, each counted as often as it is there.
_MOST_IN_TEXT = 10_000

#: How deep the texts of an exception are in what describes it.
_TEXT_DEPTH = 3

#: A shape of NumPy has at most so many numbers.
_MOST_DIMENSIONS = 64


class Room:
    """The room of one pickle.

    Args:
        size: the size of the pickle and of the buffers beside it.
    """

    def __init__(self, size: int) -> None:
        self._left = _LEAST + _FOR_EACH_BYTE * size

    def take(self, size: int) -> None:
        """Take so many bytes.

        Raises:
            UnpicklingError: they are not there.
        """
        self._left -= size
        if self._left < 0:
            raise UnpicklingError("its values would take far more memory than its size explains")

    def take_copies(self, values: Iterable[Value]) -> None:
        """Take the room for copies of values; those that are in other values are not copied."""
        for value in values:
            self.take(_measure(value))

    def take_texts(self, value: Value) -> None:
        """Take the room for the texts in a value, written visibly."""
        values = [value]
        for _ in range(_TEXT_DEPTH):
            inner: list[Value] = []
            for each in values:
                if type_of(each) is str:
                    self.take(6 * len(each))
                elif type_of(each) in {list, tuple, dict}:
                    self.take(_ITEM_BYTES * len(each))
                    inner += each.values() if type_of(each) is dict else each
            values = inner

    def take_object(self, cls: type, args: Args) -> None:
        """Take the room for an object of a class of the script's, which may derive from one of a library.

        Args:
            cls: the class.
            args: the arguments with which it is made.
        """
        if is_class(cls, (bytes, bytearray)):
            self.take(sum(map(_to_number, args)))
        elif _derives(cls, "numpy", "ndarray"):
            self._take_array(cls, args)
        elif _derives(cls, "numpy", "generic"):
            _check_text(args)
            self.take(sum(map(_to_number, args)))
        elif is_class(cls, str):
            _check_text(args)
        elif _derives(cls, "fractions", "Fraction"):
            _check_fraction(args)
        if _takes_items(cls):
            for value in args:
                self.take(_ITEM_BYTES * _count_generated(value))

    def _take_array(self, cls: type, args: Args) -> None:
        """Take the room for an array of NumPy, of this shape or these values."""
        self.take(16 * count_values(args, self._left // 16 + 1))
        # A class with a constructor of its own may take lists of values.
        owner = next(base for base in cls.__mro__ if "__new__" in vars(base))
        shapes = (tuple, list) if owner.__module__ == "numpy" else (tuple,)
        size = 1
        for value in args:
            is_shape = is_instance(value, *shapes) and len(value) <= _MOST_DIMENSIONS
            for number in value if is_shape else (value,):
                size *= max(1, _to_number(number))
        self.take(16 * size)


def _measure(value: Value) -> int:
    """Return how many bytes a copy of a value takes at most, without what it only refers to."""
    if is_instance(value, memoryview):
        return int(value.nbytes)
    for base in _TEXTS:
        if isinstance(value, base):
            return int(base.__sizeof__(value))
    for base in _CONTAINERS:
        if isinstance(value, base):
            return _ITEM_BYTES * int(base.__len__(value))
    if is_instance(value, *_VIEWS):
        return _ITEM_BYTES * len(value)
    if _derives(type_of(value), "numpy", "ndarray"):
        return _ITEM_BYTES * int(value.size)
    return 0


def _to_number(value: Value) -> int:
    """Return the number that a value is where a size is expected; 0: it is none."""
    if is_class(value) or not hasattr(type_of(value), "__index__"):
        return 0
    try:
        return abs(operator.index(value))
    except TypeError:  # an array that is no number
        return 0


def _takes_items(cls: type) -> bool:
    """Return whether a class makes items of its argument; named tuples get one argument for each."""
    is_container = is_class(cls, (bytes, bytearray, *_CONTAINERS))
    return (is_container and not hasattr(cls, "_fields")) or _derives(cls, "array", "array")


def _count_generated(value: Value) -> int:
    """Return how many items a value generates that are nowhere yet."""
    if is_instance(value, RemoteProxy):
        raise UnpicklingError("it makes a container of the items of a server object")
    if type_of(value) is range:
        return max(0, int((value.stop - value.start) // value.step) + 1)
    if type_of(value) in ITERATORS:
        try:
            return int(operator.length_hint(value))
        except OverflowError:
            return sys.maxsize
    return 0


def _derives(cls: type, module: str, name: str) -> bool:
    """Return whether a class derives from one that may not have been imported."""
    return any((base.__module__, base.__name__) == (module, name) for base in cls.__mro__)


def _check_text(args: Args) -> None:
    if count_values(args, _MOST_IN_TEXT) > _MOST_IN_TEXT:
        raise UnpicklingError("it makes a text of too many values")


def _check_fraction(args: Args) -> None:
    if any(type_of(value) is str and FRACTION.fullmatch(value) is None for value in args):
        raise UnpicklingError("no Fraction is made in this way")


def count_values(args: Args, most: int) -> int:
    """Return how many values are in others, each counted as often as it is there, up to one more than the
    most."""
    pending, count = [*args], 0
    while pending:
        value = pending.pop()
        count += 1
        if count > most:
            break
        if is_instance(value, dict):
            pending += value
            pending += value.values()
        elif is_instance(value, list, tuple, set, frozenset):
            pending += value
    return count
