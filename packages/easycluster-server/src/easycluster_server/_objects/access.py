"""Access to server objects: clients may use the methods and attributes that their classes export."""

from __future__ import annotations

from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Callable

from easycluster_protocol._objects.exports import find_exports, is_method
from easycluster_protocol._objects.operators import describe_names
from easycluster_protocol._objects.proxy_classes import RemoteIterator
from easycluster_protocol._objects.proxy_methods import ProxyMethod, RefusedMethod

if TYPE_CHECKING:
    from easycluster_protocol._types import Value


def get_method(owner: Value, name: str) -> Callable[..., Value]:
    """Return a method of a server object.

    Raises:
        AttributeError: its class does not export it.
    """
    _check(owner, name, methods_too=True)
    method = getattr(owner, name)
    return partial(_iterate, method) if name in ("__iter__", "__reversed__") else method


def _iterate(method: Callable[[], Value]) -> Value:
    """Call a method that returns an iterator, which stays here too: a copy would iterate over the proxy."""
    iterator = method()
    return iterator if find_exports(iterator) is not None else RemoteIterator(iterator)


def get_attribute(owner: Value, name: str) -> Value:
    """Return an attribute of a server object; a method becomes one that the client can call.

    Raises:
        AttributeError: there is none, or its class does not export it.
    """
    if not (name[:2] == "__" and _is_data(owner, name)):
        _check(owner, name, methods_too=True)
    value = getattr(owner, name)
    if not _is_method_of(owner, name, value):
        return value
    exports = find_exports(owner)
    is_refused = exports is not None and name in exports.refused
    return RefusedMethod(owner, name) if is_refused else ProxyMethod(owner, name)


def set_attribute(owner: Value, name: str, value: Value) -> None:
    """Set an attribute of a server object; see `get_attribute`."""
    _check(owner, name)
    setattr(owner, name, value)


def delete_attribute(owner: Value, name: str) -> None:
    """Delete an attribute of a server object; see `get_attribute`."""
    _check(owner, name)
    delattr(owner, name)


def _check(owner: Value, name: str, methods_too: bool = False) -> None:
    """Raise unless the class of a server object exports an attribute of this name.

    Args:
        owner: the object.
        name: the name.
        methods_too: whether a method will do.
    """
    exports = find_exports(owner)
    if exports is None:
        raise TypeError(
            f"a {type(owner).__qualname__} is not a server object: it exports nothing; make_server_class() or"
            " make_singleton() make it export its attributes"
        )
    if methods_too and name in exports.methods:
        return
    attributes = exports.attrs | exports.cached
    if name not in attributes and not (exports.any_attribute and name[:2] != "__"):
        raise AttributeError(
            f"{type(owner).__name__!r} object on the server does not export {name!r}; it exports "
            f"{describe_names(exports.methods, attributes)}"
        )


def _is_data(owner: Value, name: str) -> bool:
    """Whether this is no method, as ``__dict__`` and ``__module__``, and any attribute may be asked for."""
    exports = find_exports(owner)
    return exports is not None and exports.any_attribute and not callable(getattr(owner, name, callable))


def _is_method_of(owner: Value, name: str, value: Value) -> bool:
    if isinstance(owner, ModuleType):
        return callable(value)
    for base in type(owner).__mro__:
        if name in vars(base):
            return is_method(vars(base)[name])
    return False
