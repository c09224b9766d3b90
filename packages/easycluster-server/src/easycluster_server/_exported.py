"""What clients may use of server objects: what their classes export."""

from __future__ import annotations

from functools import partial
from types import ModuleType
from typing import Any

from easycluster_protocol._exports import Exports, exports_of, is_method
from easycluster_protocol._proxies import ProxyMethod
from easycluster_protocol._proxy_classes import RemoteIterator


def exported_method(owner: Any, name: str) -> Any:
    """Return a method of a server object.

    Raises:
        AttributeError: its class does not export it.
    """
    exports = _exports(owner)
    if name not in exports.methods and not _may_use(exports, name):
        raise _not_exported(owner, exports, name)
    method = getattr(owner, name)
    return partial(_iterate, method) if name in ("__iter__", "__reversed__") else method


def _iterate(method: Any) -> Any:
    """Call what gives an iterator, which stays here too: a copy would iterate over the proxy."""
    iterator = method()
    return iterator if exports_of(iterator) is not None else RemoteIterator(iterator)


def get_attribute(owner: Any, name: str) -> Any:
    """Return an attribute of a server object; a method becomes one that the client can call.

    Raises:
        AttributeError: there is none, or its class does not export it.
    """
    exports = _exports(owner)
    if name not in exports.methods and not _may_use(exports, name):
        raise _not_exported(owner, exports, name)
    value = getattr(owner, name)
    return ProxyMethod(owner, name) if _is_method_of(owner, name, value) else value


def set_attribute(owner: Any, name: str, value: Any) -> None:
    """Set an attribute of a server object; see `get_attribute`."""
    exports = _exports(owner)
    if not _may_use(exports, name):
        raise _not_exported(owner, exports, name)
    setattr(owner, name, value)


def delete_attribute(owner: Any, name: str) -> None:
    """Delete an attribute of a server object; see `get_attribute`."""
    exports = _exports(owner)
    if not _may_use(exports, name):
        raise _not_exported(owner, exports, name)
    delattr(owner, name)


def _exports(owner: Any) -> Exports:
    exports = exports_of(owner)
    if exports is None:
        raise TypeError(f"a {type(owner).__qualname__} is no server object: it exports nothing")
    return exports


def _may_use(exports: Exports, name: str) -> bool:
    return name in exports.attrs or name in exports.cached or (exports.any_attribute and name[:2] != "__")


def _not_exported(owner: Any, exports: Exports, name: str) -> AttributeError:
    attributes = exports.attrs | exports.cached
    return AttributeError(
        f"{type(owner).__name__!r} object on the server does not export {name!r}; it exports "
        f"the methods {', '.join(sorted(exports.methods)) or '(none)'} "
        f"and the attributes {', '.join(sorted(attributes)) or '(none)'}"
    )


def _is_method_of(owner: Any, name: str, value: Any) -> bool:
    if isinstance(owner, ModuleType):
        return callable(value)
    for base in type(owner).__mro__:
        if name in vars(base):
            return is_method(vars(base)[name])
    return False
