"""Proxies: a client holds one for an object that stays on the server.

When a value that names the object is unpickled, `find_proxy` makes the proxy; while it is alive, the same
object has the same proxy. Passed back on its own connection it becomes the object again, by `find_object`.
"""

from __future__ import annotations

from _thread import _local
from types import FunctionType
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterable, Iterator, Mapping, Optional, Tuple

from .introspection import is_tool_asking
from .operators import can_be_exported, describe_names
from .process_bound import make_array_refusals

if TYPE_CHECKING:  # novm
    from typing import Protocol

    from easycluster_protocol._types import Args, Kwargs, Value

    from .exports import Names, ObjectTable

    class ProxyState(Protocol):
        """A proxy's connection, and how it makes calls there, see `easycluster_client`.

        Attributes:
            cache: the values of attributes that never change.
        """

        cache: Dict[str, Value]

        @property
        def client(self) -> Value:
            """The client, or None when the connection has ended."""
            ...

        @property
        def oid(self) -> int:
            """The number of the object."""
            ...

        @property
        def peername(self) -> str:
            """The name of the server."""
            ...

        def current_calls(self) -> Any:
            """Return the maker of the client's calls, which only the client knows."""
            ...

        def parse_options(self, label: str, positional: Args, options: Kwargs) -> Kwargs:
            """Return the options of a call from the arguments of one of the proxy's own functions."""
            ...

        def call(self, name: str, args: Args, kwargs: Kwargs) -> Value:
            """Call a method; ``kwargs`` may hold options."""
            ...

        def invoke(self, name: str, args: Args, kwargs: Kwargs, options: Kwargs) -> Value:
            """Call a method; all ``kwargs`` are its own."""
            ...

        def operation(self, name: str, args: Args, options: Optional[Kwargs] = None) -> Value:
            """Call an operation of the server."""
            ...

        def get_attribute(self, proxy: RemoteProxy, name: str, options: Mapping[str, Value] = ...) -> Value:
            """Return an attribute."""
            ...

        def get_item(self, index: int, options: Kwargs) -> Value:
            """Return an item; the IndexError at the end is not printed."""
            ...

        def check_pickling(self, references: object) -> None:
            """Raise TypeError unless the proxy is pickled for a call on its own connection."""
            ...


#: On a client, for each thread. `references`: those of the connection for which a call is being pickled;
#: `answering`: those of the connection whose answer is being unpickled, which may make calls; `passed`: the
#: proxies in the call, if they are wanted; `missing`: see `raise_missing`. The references are
#: `easycluster_client._session.references`.
context: Any = _local()

#: On a server: its objects by number (`easycluster_server._objects.table`). A worker serves one connection.
server_objects: Optional[ObjectTable] = None


# The kinds of attributes that a class of proxies forwards to the server, see `get_forwarded_kind`.
METHOD = "method"
ATTRIBUTE = "attribute"
CACHED = "cached"
#: The kind of the ``__iter__`` of proxies whose objects are iterated over by their items.
ITEMS = "items"


def find_proxy(oid: int, descriptor: object, number: object = 0) -> Value:
    """Return the proxy of an object of the server whose answer is being unpickled here.

    Args:
        oid: the number of the object.
        descriptor: how the server describes the proxy, see `proxy_classes.make_proxy_class`; or the number of
            a description that has come before.
        number: the number of this description from now on, on this connection; 0: it has none.

    Raises:
        TypeError: no answer of a server is being unpickled, or no such proxy can be made.
    """
    references = getattr(context, "answering", None)
    if references is None:
        raise TypeError(f"server object {oid} has a meaning only to the client that was given it")
    if type(oid) is not int or oid < 1:  # 0 is the server itself, which no answer names
        raise TypeError(f"the number of a server object cannot be {oid!s:.50}")
    return references.find_proxy(oid, descriptor, number)


def find_object(oid: int) -> Value:
    """Return the object whose proxy the client has passed.

    Raises:
        ReferenceError: the object does not exist any more.
        TypeError: this process is not a server.
    """
    if server_objects is None:
        raise TypeError(f"server object {oid} has a meaning only on its own server")
    return server_objects.get(oid)


def _read_names(cls: type, setting: str) -> Tuple[str, ...]:
    """Return the names that a class itself, not a base, has in ``proxy_methods`` or a setting like it."""
    names: Names = vars(cls).get(setting, ())
    return (names,) if isinstance(names, str) else tuple(names or ())


def _define_forwarders(cls: type, setting: str, make: Callable[[str], object]) -> None:
    for name in _read_names(cls, setting):
        if not can_be_exported(name) or name in _OWN_NAMES:
            raise TypeError(f"{cls.__qualname__} cannot have a remote attribute named {name!r}")
        if name not in vars(cls):  # names that the class defines itself stay local
            setattr(cls, name, make(name))


def _make_method(name: str) -> object:
    def method(self: RemoteProxy, *args: Any, **kwargs: Any) -> Any:
        return self._easycluster_state.call(name, args, kwargs)

    def leave(self: RemoteProxy, *error: Any) -> Any:
        return self._easycluster_state.call(name, (*error[:2], None), {})  # tracebacks cannot be sent

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
    def get(self: RemoteProxy) -> Value:
        cache = self._easycluster_state.cache
        if name not in cache:
            cache[name] = _get(self, name)
        return cache[name]

    return _Cached(get, *_make_setter_and_deleter(name))


def _make_setter_and_deleter(
    name: str,
) -> Tuple[Callable[[RemoteProxy, Value], None], Callable[[RemoteProxy], None]]:
    """Return the functions of a property that set and delete an attribute on the server."""

    # A cached value is forgotten last, with a value that another thread has asked for meanwhile, and also if
    # the operation fails.
    def put(self: RemoteProxy, value: Value) -> None:
        try:
            self._easycluster_state.operation("set_attribute", (self, name, value))
        finally:
            self._easycluster_state.cache.pop(name, None)

    def delete(self: RemoteProxy) -> None:
        try:
            self._easycluster_state.operation("delete_attribute", (self, name))
        finally:
            self._easycluster_state.cache.pop(name, None)

    return put, delete


def _get(proxy: RemoteProxy, name: str) -> Value:
    """Return an attribute of a server object for a property of its proxy."""
    if is_tool_asking(2):
        raise AttributeError(explain_tool(proxy, name))
    try:
        return proxy._easycluster_state.get_attribute(proxy, name)
    except AttributeError as error:
        context.missing = proxy, name, error
        raise


def raise_missing(proxy: RemoteProxy, name: str) -> None:
    """Raise the AttributeError of the server that a property of a proxy has just raised, if it has: Python
    drops such an error and calls ``__getattr__``, which must not ask the server once more."""
    missing: Any = getattr(context, "missing", None)
    context.missing = None
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

    def __init__(self, proxy: RemoteProxy, options: Kwargs) -> None:
        self._proxy = proxy
        self._options = options

    def __getitem__(self, index: int) -> Value:
        return self._proxy._easycluster_state.get_item(index, self._options)


def iterate_by_items(proxy: RemoteProxy, options: Kwargs) -> Iterator[Value]:
    """Return an iterator over a server object that has items and no iterator of its own.

    Args:
        proxy: the proxy of the object.
        options: the options of the calls.
    """
    return iter(_Items(proxy, options))


def _iterate_by_items(self: RemoteProxy) -> Iterator[Value]:
    return iterate_by_items(self, {})


_iterate_by_items.__name__ = _iterate_by_items.__qualname__ = "__iter__"
_iterate_by_items._easycluster_kind = ITEMS  # type: ignore[attr-defined]


class RemoteProxy:
    """Stands on the client for an object that stays on the server.

    To choose the names that a proxy has by hand, derive a class from this one and name it as ``proxy_class``
    of the server object's class. Methods that it defines run on the client.

    Args:
        client: the client that is connected to the object's server.
        oid: the number of the object there.

    Class attributes:
        proxy_methods: the name of a method to forward, or a sequence of names.
        proxy_attrs: names of attributes to get, set and delete on the server.
        proxy_attrs_cache: names of attributes that never change: each is asked for once, and once more after
            it was set here.
    """

    if TYPE_CHECKING:
        proxy_methods: Names
        proxy_attrs: Names
        proxy_attrs_cache: Names

        #: The connection, and how calls are made there.
        _easycluster_state: ProxyState

    proxy_methods = ()
    proxy_attrs = ()
    proxy_attrs_cache = ()

    def __init__(self, client: Any, oid: int) -> None:
        # A proxy that is made for an answer has its state before the `__init__` of its own class comes here.
        if "_easycluster_state" not in vars(self):
            object.__setattr__(self, "_easycluster_state", client._easycluster_calls.new_proxy_state(oid))

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        _define_forwarders(cls, "proxy_methods", _make_method)
        _define_forwarders(cls, "proxy_attrs", _make_attribute)
        _define_forwarders(cls, "proxy_attrs_cache", _make_cached)
        if all(get_forwarded_kind(cls, name) == METHOD for name in ("__getitem__", "__len__")):
            for name, refusal in make_array_refusals().items():
                if not hasattr(cls, name):
                    setattr(cls, name, refusal)
        if get_forwarded_kind(cls, "__getitem__") == METHOD and not hasattr(cls, "__iter__"):
            setattr(cls, "__iter__", _iterate_by_items)  # noqa: B010 -- type checkers know no such method

    @property
    def proxy_connection(self) -> Any:
        """The client, or None when the connection of this proxy has ended."""
        return self._easycluster_state.client

    @property
    def proxy_object_id(self) -> int:
        """The number of the object on its server."""
        return self._easycluster_state.oid

    def raw_call_method(
        self,
        method: str,
        args: Iterable[Any] = (),
        kwargs: Optional[Mapping[str, Any]] = None,
        *positional: Any,
        **options: Any,
    ) -> Any:
        """Call a method of the object; ``options`` are the five keywords of every call, and ``timeout``.
        The five may also be given by position: nonblocking, oncomplete, onerror, threadid, origexc.

        Raises:
            TypeError: there is no such option.
            AttributeError: the object's class does not export it.
            ConnectionLost: the connection of this proxy has ended.
        """
        state = self._easycluster_state
        options = state.parse_options("raw_call_method", positional, options)
        return state.invoke(method, tuple(args), dict(kwargs or {}), options)

    def raw_get_attribute(self, name: str, *positional: Any, **options: Any) -> Any:
        """Return an attribute of the object; see `raw_call_method`."""
        state = self._easycluster_state
        options = state.parse_options("raw_get_attribute", positional, options)
        return state.operation("get_attribute", (self, name), options)

    def raw_set_attribute(self, name: str, value: Any, *positional: Any, **options: Any) -> Any:
        """Set an attribute of the object; see `raw_call_method`."""
        state = self._easycluster_state
        options = state.parse_options("raw_set_attribute", positional, options)
        return state.operation("set_attribute", (self, name, value), options)

    def __getattr__(self, name: str) -> Any:
        raise_missing(self, name)
        raise AttributeError(explain_missing(type(self), name))

    def __repr__(self) -> str:
        state = self._easycluster_state
        return f"<RemoteProxy for oid {state.oid} on {state.peername}>"

    def __dir__(self) -> Iterator[str]:
        # Without asking the server: interactive shells call this at each keystroke.
        return iter(sorted({*dir(type(self)), *vars(self)}))

    def __reduce_ex__(self, protocol: object) -> Tuple[Callable[..., Any], Tuple[Any, ...]]:
        self._easycluster_state.check_pickling(getattr(context, "references", None))
        passed = getattr(context, "passed", None)
        if passed is not None:
            passed.append(self)
        return find_object, (self._easycluster_state.oid,)

    def __copy__(self) -> RemoteProxy:
        return self

    def __deepcopy__(self, memo: object) -> RemoteProxy:
        return self


#: The names of `RemoteProxy` itself, which no server can replace.
_OWN_NAMES = frozenset(name for name in vars(RemoteProxy) if not name.startswith("__")) | {
    "__init__",
    "_easycluster_state",
}


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


def explain_tool(proxy: RemoteProxy, name: str) -> str:
    """Return the text of the error for an attribute that a tool asks for."""
    return f"attribute {name!r} of the {type(proxy).__name__!r} object is on the server: tools do not read it"


def explain_missing(cls: type, name: str) -> str:
    """Return the text of the error for an attribute that a proxy does not have."""
    exported = describe_names(*list_exported_names(cls))
    return f"{cls.__name__!r} object has no attribute {name!r}; exported are {exported}"


def list_exported_names(cls: type) -> Tuple[Iterable[str], Iterable[str]]:
    """Return the names of the methods and of the attributes that proxies of this class forward."""
    methods: Dict[str, None] = {}
    attrs: Dict[str, None] = {}
    for base in cls.__mro__:
        methods.update(dict.fromkeys(_read_names(base, "proxy_methods")))
        attrs.update(dict.fromkeys(_read_names(base, "proxy_attrs")))
        attrs.update(dict.fromkeys(_read_names(base, "proxy_attrs_cache")))
    return methods, attrs
