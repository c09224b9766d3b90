"""The attributes of proxies that forward to the server: methods, attributes, and iteration by items."""

from __future__ import annotations

from _thread import _local
from types import FunctionType
from typing import TYPE_CHECKING, Any, Callable, FrozenSet, Iterator, Tuple

from .introspection import is_tool_asking
from .operators import can_be_exported

if TYPE_CHECKING:
    from easycluster_protocol._types import Kwargs, Value

    from .exports import Names

#: For each thread, `missing`: see `raise_missing`.
_context: Any = _local()

# The kinds of attributes that a class of proxies forwards to the server, see `get_forwarded_kind`.
METHOD = "method"
ATTRIBUTE = "attribute"
CACHED = "cached"
#: The kind of the ``__iter__`` of proxies whose objects are iterated over by their items.
ITEMS = "items"


def read_names(cls: type, setting: str) -> Tuple[str, ...]:
    """Return the names that a class itself, not a base, has in ``proxy_methods`` or a setting like it."""
    names: Names = vars(cls).get(setting, ())
    return (names,) if isinstance(names, str) else tuple(names or ())


def _make_method(name: str) -> object:
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        return self._easycluster_state.call(name, args, kwargs)

    def leave(self: Any, *error: Any) -> Any:
        return self._easycluster_state.leave(
            lambda: self._easycluster_state.call(name, (*error[:2], None), {}),  # tracebacks cannot be sent
            error,
        )

    made: Any = leave if name == "__exit__" else method
    made.__name__ = made.__qualname__ = name
    made._easycluster_kind = METHOD
    return made


class _Attribute(property):
    kind = ATTRIBUTE


class _Cached(property):
    kind = CACHED


def _make_attribute(name: str) -> property:
    return _Attribute(lambda self: _get(self, name), *_make_setter_and_deleter(name))


def _make_cached(name: str) -> property:
    def get(self: Any) -> Value:
        cache = self._easycluster_state.cache
        if name not in cache:
            cache[name] = _get(self, name)
        return cache[name]

    return _Cached(get, *_make_setter_and_deleter(name))


def _make_setter_and_deleter(
    name: str,
) -> Tuple[Callable[[Any, Value], None], Callable[[Any], None]]:
    """Return the functions of a property that set and delete an attribute on the server."""

    # A cached value is forgotten last, with a value that another thread has asked for meanwhile, and also if
    # the operation fails.
    def put(self: Any, value: Value) -> None:
        try:
            self._easycluster_state.operation("set_attribute", (self, name, value))
        finally:
            self._easycluster_state.cache.pop(name, None)

    def delete(self: Any) -> None:
        try:
            self._easycluster_state.operation("delete_attribute", (self, name))
        finally:
            self._easycluster_state.cache.pop(name, None)

    return put, delete


def _get(proxy: Any, name: str) -> Value:
    """Return an attribute of a server object for a property of its proxy."""
    if is_tool_asking(2):
        raise AttributeError(explain_tool(proxy, name))
    try:
        return proxy._easycluster_state.get_attribute(proxy, name)
    except AttributeError as error:
        _context.missing = proxy, name, error
        raise


def raise_missing(proxy: Any, name: str) -> None:
    """Raise the AttributeError of the server that a property of a proxy has just raised, if it has: Python
    drops such an error and calls ``__getattr__``, which must not ask the server once more."""
    missing: Any = getattr(_context, "missing", None)
    _context.missing = None
    if missing is not None and missing[0] is proxy and missing[1] == name:
        try:
            raise missing[2]
        finally:
            del missing  # or the error would hold itself, and the proxy


class _Items:
    """The items of a server object, over which Python iterates until there is an IndexError. The error that
    ends the iteration is not printed, as it is for other calls.

    Args:
        proxy: the proxy of the object.
        options: the options of the calls.
    """

    def __init__(self, proxy: Any, options: Kwargs) -> None:
        self._proxy = proxy
        self._options = options

    def __getitem__(self, index: int) -> Value:
        return self._proxy._easycluster_state.get_item(index, self._options)


def iterate_by_items(proxy: Any, options: Kwargs) -> Iterator[Value]:
    """Return an iterator over a server object that has items and no iterator of its own.

    Args:
        proxy: the proxy of the object.
        options: the options of the calls.
    """
    return iter(_Items(proxy, options))


def _iterate_by_items(self: Any) -> Iterator[Value]:
    return iterate_by_items(self, {})


_iterate_by_items.__name__ = _iterate_by_items.__qualname__ = "__iter__"
_iterate_by_items._easycluster_kind = ITEMS  # type: ignore[attr-defined]


#: Setting → the function that makes the attribute of a name in it.
_MAKERS: Tuple[Tuple[str, Callable[[str], object]], ...] = (
    ("proxy_methods", _make_method),
    ("proxy_attrs", _make_attribute),
    ("proxy_attrs_cache", _make_cached),
)


def define_forwarders(cls: Any, own_names: FrozenSet[str]) -> None:
    """Give a class of proxies the attributes that it names in its settings.

    Args:
        cls: the class.
        own_names: the names that no server can replace.

    Raises:
        TypeError: a name is one of these, or cannot be exported.
    """
    for setting, make in _MAKERS:
        for name in read_names(cls, setting):
            if not can_be_exported(name) or name in own_names:
                raise TypeError(
                    f"{cls.__qualname__} cannot have a remote attribute named {name!r}: every proxy has it,"
                    " or it cannot be exported; give it another name on the server"
                )
            if name == "_repr_pretty_":
                continue  # it gets a printer, which cannot be sent
            if name not in vars(cls):  # names that the class defines itself stay local
                setattr(cls, name, make(name))
    if get_forwarded_kind(cls, "__getitem__") == METHOD and not hasattr(cls, "__iter__"):
        cls.__iter__ = _iterate_by_items


def get_forwarded_kind(cls: type, name: str) -> str:
    """Return `METHOD`, `ATTRIBUTE` or `CACHED` for a name that proxies of this class forward,
    `process_bound.REFUSED` for a method that they refuse to call; "" for one that they do not have, or have
    themselves."""
    for base in cls.__mro__:
        if name in vars(base):
            found: object = vars(base)[name]
            if isinstance(found, FunctionType):
                return str(vars(found).get("_easycluster_kind", ""))
            return found.kind if isinstance(found, (_Attribute, _Cached)) else ""
    return ""


def explain_tool(proxy: Any, name: str) -> str:
    """Return the text of the error for an attribute that a tool asks for."""
    return f"attribute {name!r} of the {type(proxy).__name__!r} object is on the server: tools do not read it"
