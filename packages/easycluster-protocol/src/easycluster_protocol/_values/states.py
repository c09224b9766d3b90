"""The state of objects that are copied, where a built-in type such as `dict` is a server class.

Pickling writes an object as the arguments of a function and a state, made of dictionaries, lists and sets.
They are no values of the user's, and the object cannot be rebuilt from proxies of them: so they are copied.
"""

from __future__ import annotations

from types import FunctionType
from typing import TYPE_CHECKING, Any, Callable, Dict

from easycluster_protocol._objects.exports import is_singleton

from .views import REDUCTIONS

if TYPE_CHECKING:
    from easycluster_protocol._types import Value

_CONTAINERS = (dict, list, tuple, set, frozenset, bytearray)

#: The methods by which a class chooses what its state consists of.
_METHODS = ("__reduce_ex__", "__reduce__", "__getstate__", "__getnewargs__", "__getnewargs_ex__")

_type_of: Callable[[object], type] = type  # for type checkers, which make no class of `type(value)`


class States(Dict[int, "Value"]):
    """The containers in one pickle that are states, or parts of states, by their ids."""

    def note(self, cls: type, reduced: Any) -> Any:
        """Note the state in a reduction, and return the reduction.

        The attributes of an ordinary object are values: only the dictionary that holds them is its state.

        Args:
            cls: the class of the object.
            reduced: its reduction.
        """
        if _type_of(reduced) is not tuple:
            return reduced  # the name of a global
        if has_state_of_its_own(cls):
            self._add_all(reduced[1:3])
        else:
            state: Any = reduced[2] if len(reduced) > 2 else None
            self._add(state)
            for part in state if _type_of(state) is tuple else ():
                self._add(part)
        return reduced

    def _add(self, value: Value) -> bool:
        """Note one container; return False for what is none, or was noted before."""
        if _type_of(value) not in _CONTAINERS or id(value) in self or is_singleton(value):
            return False
        self[id(value)] = value
        return True

    def _add_all(self, value: Any) -> None:
        """Note a container and those in it."""
        pending = [value]
        while pending:
            value = pending.pop()
            if not self._add(value):
                continue
            if _type_of(value) is dict:
                pending += value
                pending += value.values()
            elif _type_of(value) is not bytearray:
                pending += value


def has_state_of_its_own(cls: Any) -> bool:
    """Whether the reduction of a class consists of more than the attributes of the object."""
    if cls in REDUCTIONS or issubclass(cls, (BaseException, type, FunctionType)):
        return True
    return any(getattr(cls, name, None) is not getattr(object, name, None) for name in _METHODS)
