"""Exceptions as values: those whose constructor would not take their ``args`` are rebuilt without it.

Python pickles an exception as a call of its class with the exception's ``args``. A constructor with other
parameters fails there, or makes another exception: it may take the text that it has made for its argument.
"""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING, Any, Callable, Dict, Optional, Tuple, Type

if TYPE_CHECKING:
    from easycluster_protocol._types import Args, Value

    Reduction = Callable[[Value], Any]

#: Also sets attributes of exceptions that forbid it, as frozen dataclasses do.
set_attribute = BaseException.__setattr__

#: Whether picklers know functions that set the state of an object.
_HAVE_SETTERS = sys.version_info >= (3, 8)

#: The methods that rebuild an exception. Those of Python's own classes fit each other.
_METHODS = ("__init__", "__new__", "__reduce__", "__reduce_ex__", "__setstate__", "__setattr__")


def choose_for_exceptions(cls: type, protocol: int) -> Optional[Reduction]:
    """Return the reduction for a class of exceptions, None for that of the class itself."""
    if all(_is_pythons_own(cls, name) for name in _METHODS):
        return None
    return partial(_reduce, protocol)


def _is_pythons_own(cls: type, name: str) -> bool:
    """Whether a method comes from a class of Python's own."""
    return next(base for base in cls.__mro__ if name in vars(base)).__module__ == "builtins"


def _reduce(protocol: int, error: BaseException) -> Any:
    try:
        reduced: Any = error.__reduce_ex__(protocol)
        if isinstance(reduced, str) or _gives(reduced, error):
            return reduced
    except KeyboardInterrupt:
        raise
    except BaseException:  # a constructor may raise anything
        pass
    cls, args, attributes = _take_apart(error)
    if _HAVE_SETTERS:  # so an attribute may hold the exception
        return rebuild, (cls, args), attributes, None, None, set_attributes
    return rebuild, (cls, args, attributes)


def _take_apart(error: BaseException) -> Tuple[Any, Args, Optional[Dict[str, Value]]]:
    """Return the arguments with which `rebuild` makes the exception again."""
    cls = type(error)
    _, args, *rest = _find_base(cls).__reduce__(error)
    return cls, args, dict(rest[0]) if rest else None


def copy_bare(error: BaseException) -> BaseException:
    """Return a copy of an exception without its stack trace, which would keep the variables of functions."""
    return rebuild(*_take_apart(error))


def _find_base(cls: type) -> Any:
    """Return the nearest of Python's own classes."""
    return next(base for base in cls.__mro__ if base.__module__ == "builtins")


def _gives(reduced: Any, error: BaseException) -> bool:
    """Whether a reduction, which is carried out here, gives an exception with the same ``args``."""
    copy = reduced[0](*reduced[1])
    if type(copy) is not type(error):
        return False
    if len(reduced) > 2 and reduced[2] is not None:
        copy.__setstate__(reduced[2])
    return have_same_args(copy, error)


def have_same_args(copy: BaseException, error: BaseException) -> bool:
    """Whether two exceptions have the same ``args``, as far as one can see."""
    pairs = zip(copy.args, error.args)
    return len(copy.args) == len(error.args) and all(a is b or repr(a) == repr(b) for a, b in pairs)


def rebuild(
    cls: Type[BaseException], args: Args, attributes: Optional[Dict[str, Value]] = None
) -> BaseException:
    """Return an exception that is made without its constructor.

    Args:
        cls: its class.
        args: the arguments of the nearest of Python's own classes.
        attributes: its attributes.
    """
    base = _find_base(cls)
    error: BaseException = base.__new__(cls, *args)
    try:
        base.__init__(error, *args)  # that of OSError finds errno, that of StopIteration the value
    except Exception:  # the constructor never called it, so the arguments may be too few
        set_attribute(error, "args", args)
    set_attributes(error, attributes or {})
    return error


def set_attributes(error: BaseException, attributes: Dict[str, Value]) -> None:
    """Set attributes of an exception, whatever its class says."""
    for name, value in attributes.items():
        try:
            set_attribute(error, name, value)
        except AttributeError:  # a property of this name
            error.__dict__[name] = value
