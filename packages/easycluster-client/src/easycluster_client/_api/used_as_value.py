"""A name on a server where a value is meant: the error says to write ``.value``, or to call the function."""

from __future__ import annotations

import numbers
import sys
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from easycluster_protocol._types import Value

#: Comparing a name with a value of these types means that ``.value`` was forgotten. They do not include None,
#: nor objects that are equal to everything, as tools have them.
_VALUE_TYPES = (
    bytearray,
    bytes,
    dict,
    frozenset,
    list,
    memoryview,
    numbers.Number,  # also those of NumPy and of `decimal`
    range,
    set,
    str,
    tuple,
)

#: The special methods by which Python and NumPy use values. ``__iter__`` and ``__contains__`` are missing,
#: because no name may be an Iterable; Python takes ``__getitem__`` in their place.
_UNARY = (  # noqa: SIM905 -- half as long
    "abs array bytes ceil complex delitem enter exit float floor fspath ge getitem gt index int invert le "
    "len lt neg next pos round setitem trunc"
).split()
_BINARY = "add and divmod floordiv lshift matmul mod mul or pow rshift sub truediv xor".split()  # noqa: SIM905

#: Packages of the standard library that ask a function for its truth when they mean whether there is one.
_ASK_WHETHER_THERE_IS_ONE = ("multiprocessing", "tkinter")


class NotAValue:
    """Base of the names on a server: using one as if it were its value is a `TypeError`."""

    __slots__ = ()

    def _easycluster_get_path(self) -> str:
        """Return the dotted name."""
        raise NotImplementedError

    def __bool__(self) -> bool:
        caller = str(sys._getframe(1).f_globals.get("__name__"))
        return caller.partition(".")[0] in _ASK_WHETHER_THERE_IS_ONE or _refuse(self)

    def __format__(self, spec: str) -> str:
        return _refuse(self) if spec else str(self)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, _VALUE_TYPES):
            path = self._easycluster_get_path()
            raise TypeError(f"{self!r} is a name on a server, not a value: compare {path}.value instead")
        return NotImplemented

    __hash__ = object.__hash__


def _refuse(name: NotAValue, *_: Value) -> NoReturn:
    path = name._easycluster_get_path()
    raise TypeError(
        f"{name!r} is a name on a server, not a value: write host.{path}.value to read it,"
        f" or host.{path}(...) to call it"
    )


for _name in (*_UNARY, *_BINARY, *(f"r{name}" for name in _BINARY)):
    setattr(NotAValue, f"__{_name}__", _refuse)
