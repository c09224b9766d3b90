"""Reductions: how values are pickled for which the way of their own class is not good enough.

A pickler takes its reductions from a dispatch table, which it asks once for each class in a pickle. Values of
Python's basic types never come to it.
"""

from __future__ import annotations

import copyreg
import os
from io import BytesIO
from operator import methodcaller
from typing import TYPE_CHECKING, Any, Callable, Dict, Optional

from easycluster_protocol._pickling import Pickler

from .exceptions import choose_for_exceptions
from .libraries import find_library_reduction
from .named_tuples import choose_for_tuples, is_never_copied
from .views import REDUCTIONS

if TYPE_CHECKING:
    from easycluster_protocol._types import Value

    #: Returns how a value is pickled, as its own `__reduce_ex__` would.
    Reduction = Callable[[Value], Any]


#: A copy of this class elsewhere would set the variables of that process.
_ENVIRONMENT = type(os.environ)


def _reduce_environment(environment: Value) -> Any:
    return dict, (dict(environment),)


class Reductions(Dict[type, "Reduction"]):
    """The dispatch table of one pickler: class → reduction.

    Args:
        protocol: the pickle protocol.
        may_be_copied: whether a class of named tuples, which cannot be found by its name, may be replaced by
            one with the same fields.
    """

    # One is made for each pickle.
    __slots__ = ("may_be_copied", "protocol")

    def __init__(self, protocol: int, may_be_copied: Callable[[type], bool] = is_never_copied) -> None:
        self.protocol = protocol
        self.may_be_copied = may_be_copied

    def __missing__(self, cls: Any) -> Reduction:
        reduction = copyreg.dispatch_table.get(cls)
        if reduction is None:
            if issubclass(cls, type):
                raise KeyError(cls)  # classes themselves are pickled by name
            reduction = self.choose(cls) or methodcaller("__reduce_ex__", self.protocol)
        self[cls] = reduction
        return reduction

    def get(self, cls: type, default: Any = None) -> Any:
        """Return the reduction for a class: PyPy's picklers ask in this way."""
        try:
            return self[cls]
        except KeyError:
            return default

    def choose(self, cls: Any) -> Optional[Reduction]:
        """Return the reduction for a class, or None for that of the class itself."""
        if issubclass(cls, BaseException):
            return choose_for_exceptions(cls, self.protocol)
        if issubclass(cls, tuple):
            return choose_for_tuples(cls, self.protocol, self.may_be_copied)
        if cls is _ENVIRONMENT:
            return _reduce_environment
        return REDUCTIONS.get(cls) or find_library_reduction(cls, self.protocol)


def dumps_value(value: Value, protocol: int, buffer_callback: Any = None) -> bytes:
    """Pickle a value with these reductions, otherwise as `pickle.dumps` does."""
    file = BytesIO()
    pickler: Any = Pickler(
        file, protocol, **({} if buffer_callback is None else {"buffer_callback": buffer_callback})
    )
    pickler.dispatch_table = Reductions(protocol)
    pickler.dump(value)
    return file.getvalue()
