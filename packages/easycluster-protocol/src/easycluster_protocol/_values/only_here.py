"""Objects that Python pickles by their name alone, although they exist only in this script: they go by value,
or it is an error here that says so.

Cloudpickle does that for functions and classes. Objects of some other types reduce to a name as well, which
the other end would look for in vain in its own ``__main__``.
"""

from __future__ import annotations

import functools
import pickle
import sys
from typing import TYPE_CHECKING, Any, Callable, Dict, Optional, Tuple

if TYPE_CHECKING:
    from easycluster_protocol._types import Value


_type_of: Callable[[object], type] = type  # for type checkers, which make no class of `type(value)`


def reduce_name(value: Value, name: str) -> Any:
    """Return how a value is pickled that its type reduces to a name.

    Args:
        value: the value.
        name: its name.

    Raises:
        PicklingError: no other process can find it by that name, and there is no other way to send it.
    """
    module: str = getattr(value, "__module__", None) or vars(pickle)["whichmodule"](value, name)
    if module != "__main__" and _find(module, name) is value:
        return name
    cls = _type_of(value)
    reduction = _REDUCTIONS.get((cls.__module__, cls.__name__))
    if reduction is not None:
        return reduction(value)
    raise pickle.PicklingError(
        f"{cls.__qualname__} objects are sent by name, and {name!r} exists only in {module}: "
        "put it into definitions (define_common), or into a module that both ends can import"
    )


def _find(module: str, name: str) -> Value:
    """Return the object of this name in a module that has been imported, or None."""
    found: Value = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return found


def _reduce_cached(function: Any) -> Any:
    """A function with `functools.lru_cache`: it goes with an empty cache."""
    wrapped = function.__wrapped__
    given: Dict[str, Value] = wrapped.__dict__
    attributes: Dict[str, Value] = function.__dict__
    own = {
        name: value
        for name, value in attributes.items()
        if name not in functools.WRAPPER_ASSIGNMENTS and name != "__wrapped__" and name not in given
    }
    size = function.cache_info().maxsize
    # Python 3.8 does not tell whether the types of arguments count.
    typed = function.cache_parameters()["typed"] if hasattr(function, "cache_parameters") else False
    return make_cached, (wrapped, size, typed), own or None


def make_cached(function: Callable[..., Value], maxsize: Optional[int], typed: bool) -> Value:
    """Return a function with a cache."""
    return functools.lru_cache(maxsize, typed)(function)


def _reduce_type(kind: Any) -> Any:
    """A type of `typing` that is made by a call, such as ``NewType('UserId', int)``."""
    name: str = type(kind).__name__
    further: Tuple[Value, ...] = ()
    if name == "NewType":
        further = (kind.__supertype__,)
    elif name == "TypeAliasType":
        further = (kind.__value__, kind.__type_params__)
    return make_type, (name, kind.__module__, kind.__name__, *further)


def make_type(kind: str, module: str, name: str, *further: Value) -> Value:
    """Return a type of `typing`.

    Args:
        kind: the name of the function that makes it.
        module: the module that it is to be of.
        name: its name.
        further: what else it takes.
    """
    make: Any = getattr(__import__("typing"), kind)
    made = make(name, further[0], type_params=further[1]) if len(further) == 2 else make(name, *further)
    try:
        made.__module__ = module
    except AttributeError:  # it cannot be set
        pass
    return made


def reduce_property(found: Any) -> Any:
    """A `functools.cached_property`, which has a lock before Python 3.12."""
    return type(found), (found.func,), {"attrname": found.attrname}


def is_dispatcher(function: Any) -> bool:
    """Whether this is a function that `functools.singledispatch` has made."""
    return function.__code__ is _DISPATCHER_CODE


def reduce_dispatcher(function: Any) -> Any:
    """A function that `functools.singledispatch` has made: it goes without its cache."""
    return make_dispatcher, (function.__wrapped__, dict(function.registry))


def make_dispatcher(function: Callable[..., Value], registry: Dict[type, Callable[..., Value]]) -> Value:
    """Return a function that `functools.singledispatch` makes.

    Args:
        function: the function for all other types.
        registry: type → function.
    """
    made: Any = functools.singledispatch(function)
    for cls, each in registry.items():
        made.register(cls, each)
    return made


_dispatcher: Any = functools.singledispatch(make_type)
_DISPATCHER_CODE = _dispatcher.__code__


#: Module and name of a type → how its objects are pickled.
_REDUCTIONS: Dict[Tuple[str, str], Callable[[Value], Any]] = {
    ("functools", "_lru_cache_wrapper"): _reduce_cached,
    ("typing", "NewType"): _reduce_type,
    ("typing", "ParamSpec"): _reduce_type,
    ("typing", "TypeVarTuple"): _reduce_type,
    ("typing", "TypeAliasType"): _reduce_type,
}
