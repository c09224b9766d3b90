"""Proxies: what a client holds of an object that stays on the server.

A proxy is made when a value that names its object is unpickled, by `find_proxy`; while one is alive, the same
object gives the same proxy. Passed back on its own connection it becomes the object again, by `find_object`.
"""

from __future__ import annotations

from _thread import _local
from types import FunctionType
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterable, Iterator, Tuple

from .exports import can_be_exported, describe_names

#: On a client, for each thread. `references`: of the connection for which a call is being pickled;
#: `answering`: of that whose answer is being unpickled, which may make calls. See
#: `easycluster_client._session.references`.
context: Any = _local()

#: On a server: its objects by number (`easycluster_server._objects.table`). A worker serves one connection.
server_objects: Any = None


#: What a class of proxies may have of the server's, see `forwarded`.
METHOD = "method"
ATTRIBUTE = "attribute"
CACHED = "cached"


def find_proxy(oid: int, descriptor: Any) -> Any:
    """Return the proxy of an object of the server whose answer is being unpickled here.

    Raises:
        TypeError: no answer of a server is being unpickled, or no such proxy can be made.
    """
    references = getattr(context, "answering", None)
    if references is None:
        raise TypeError(f"server object {oid} has a meaning only to the client that was given it")
    if type(oid) is not int or oid < 1:  # 0 is the server itself, which nobody but this client names
        raise TypeError(f"the number of a server object cannot be {oid!s:.50}")
    return references.find_proxy(oid, descriptor)


def find_object(oid: int) -> Any:
    """Return the object whose proxy the client has passed.

    Raises:
        ReferenceError: there is no such object any more.
        TypeError: this is no server.
    """
    if server_objects is None:
        raise TypeError(f"server object {oid} has a meaning only on its own server")
    return server_objects.get(oid)


def find_method(owner: Any, name: str) -> Any:
    """Return a method of a server object: of its proxy on the client, of itself when that is passed back."""
    return ProxyMethod(owner, name) if isinstance(owner, RemoteProxy) else getattr(owner, name)


def _sequence(own: Any, setting: str) -> Tuple[str, ...]:
    names = own.get(setting, ())
    return (names,) if isinstance(names, str) else tuple(names)


def _define(cls: type, names: Iterable[str], make: Callable[[str], Any]) -> None:
    for name in names:
        if not can_be_exported(name) or name in _OWN:
            raise TypeError(f"{cls.__qualname__} cannot have a remote attribute named {name!r}")
        if name not in vars(cls):  # what the class defines itself stays local
            setattr(cls, name, make(name))


def _make_method(name: str) -> Any:
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return self._easycluster_state.call(name, args, kwargs)

    def leave(self: Any, *error: Any) -> Any:
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
    return _Attribute(lambda self: _ask(self, name), *_changing(name))


def _make_cached(name: str) -> property:
    def get(self: Any) -> Any:
        cache = self._easycluster_state.cache
        if name not in cache:
            cache[name] = _ask(self, name)
        return cache[name]

    return _Cached(get, *_changing(name))


def _changing(name: str) -> Tuple[Callable[[Any, Any], None], Callable[[Any], None]]:
    """Return what sets and what deletes an attribute on the server."""

    # A cached value is forgotten in the end, with what others have asked for meanwhile, and also if it fails.
    def put(self: Any, value: Any) -> None:
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


def _ask(proxy: Any, name: str) -> Any:
    """Return an attribute of a server object for a property of its proxy."""
    try:
        return proxy._easycluster_state.get_attribute(proxy, name)
    except AttributeError as error:
        context.missing = proxy, name, error
        raise


def raise_missing(proxy: Any, name: str) -> None:
    """Raise what the server has raised for a property of a proxy: Python drops an AttributeError of a
    property and asks ``__getattr__``, which must not ask the server once more."""
    missing: Any = getattr(context, "missing", None)
    context.missing = None
    if missing is not None and missing[0] is proxy and missing[1] == name:
        try:
            raise missing[2]
        finally:
            del missing  # else the error would hold itself, and the proxy


class RemoteProxy:
    """Stands on the client for an object that stays on the server.

    Derive from it to say by hand what a proxy has, and name that class as ``proxy_class`` of the server
    object's class. Methods that it defines run on the client.

    Args:
        client: the client that is connected to the object's server.
        oid: the number of the object there.

    Class attributes:
        proxy_methods: the name of a method to forward, or a sequence of names.
        proxy_attrs: names of attributes to get, set and delete on the server.
        proxy_attrs_cache: names of attributes that never change, which are asked for once, and once more
            after they were set here.
    """

    if TYPE_CHECKING:
        proxy_methods: Any
        proxy_attrs: Any
        proxy_attrs_cache: Any

        #: What holds the connection and counts the receipts, see `easycluster_client._session.references`.
        _easycluster_state: Any

    proxy_methods = ()
    proxy_attrs = ()
    proxy_attrs_cache = ()

    def __init__(self, client: Any, oid: int) -> None:
        # An answer that names the object gives it to the proxy before its class's own `__init__` comes here.
        if "_easycluster_state" not in vars(self):
            object.__setattr__(self, "_easycluster_state", client._easycluster_calls.reference(oid))

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        own = vars(cls)
        _define(cls, _sequence(own, "proxy_methods"), _make_method)
        _define(cls, _sequence(own, "proxy_attrs"), _make_attribute)
        _define(cls, _sequence(own, "proxy_attrs_cache"), _make_cached)

    @property
    def proxy_connection(self) -> Any:
        """The client, or None when the connection of this proxy has ended."""
        return self._easycluster_state.client

    @property
    def proxy_object_id(self) -> int:
        """The number of the object on its server."""
        oid: int = self._easycluster_state.oid
        return oid

    def raw_call_method(
        self, method: str, args: Iterable[Any] = (), kwargs: Any = None, *positional: Any, **options: Any
    ) -> Any:
        """Call a method of the object; ``options`` are the five keywords of every call, and ``timeout``.
        The five can be given by position, too: nonblocking, oncomplete, onerror, threadid, origexc.

        Raises:
            TypeError: there is no such option.
            AttributeError: the object's class does not export it.
            ConnectionLost: the connection of this proxy has ended.
        """
        chosen = self._easycluster_state.options("raw_call_method", positional, options)
        return self._easycluster_state.invoke(method, tuple(args), dict(kwargs or {}), chosen)

    def raw_get_attribute(self, name: str, *positional: Any, **options: Any) -> Any:
        """Return an attribute of the object; see `raw_call_method`."""
        chosen = self._easycluster_state.options("raw_get_attribute", positional, options)
        return self._easycluster_state.operation("get_attribute", (self, name), chosen)

    def raw_set_attribute(self, name: str, value: Any, *positional: Any, **options: Any) -> Any:
        """Set an attribute of the object; see `raw_call_method`."""
        chosen = self._easycluster_state.options("raw_set_attribute", positional, options)
        return self._easycluster_state.operation("set_attribute", (self, name, value), chosen)

    def __getattr__(self, name: str) -> Any:
        raise_missing(self, name)
        raise AttributeError(missing_attribute(type(self), name))

    def __repr__(self) -> str:
        reference = self._easycluster_state
        return f"<RemoteProxy for oid {reference.oid} on {reference.peername}>"

    def __dir__(self) -> Iterator[str]:
        # What is told without asking the server: interactive shells ask at each keystroke.
        return iter(sorted({*dir(type(self)), *vars(self)}))

    def __reduce_ex__(self, protocol: Any) -> Any:
        self._easycluster_state.check_pickling(getattr(context, "references", None))
        passed = getattr(context, "passed", None)
        if passed is not None:
            passed.append(self)
        return find_object, (self._easycluster_state.oid,)

    def __copy__(self) -> Any:
        return self

    def __deepcopy__(self, memo: Any) -> Any:
        return self


#: The names of `RemoteProxy` itself: no server can put something of its own in their place.
_OWN = frozenset(name for name in vars(RemoteProxy) if not name.startswith("__")) | {
    "__init__",
    "_easycluster_state",
}


class ProxyMethod:
    """A method of a server object, as an attribute of its proxy; on the server, of the object on its way."""

    def __init__(self, owner: Any, name: str) -> None:
        self.__self__ = owner
        self.__name__ = name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.__self__._easycluster_state.call(self.__name__, args, kwargs)

    def __repr__(self) -> str:
        return f"<method {self.__name__} of {self.__self__!r}>"

    def __reduce__(self) -> Any:
        return find_method, (self.__self__, self.__name__)


def forwarded(kind: type, name: str) -> str:
    """Return what proxies of this class forward under a name: `METHOD`, `ATTRIBUTE` or `CACHED`; "" when
    that is nothing, or something that the class has itself."""
    for base in kind.__mro__:
        if name in vars(base):
            found: Any = vars(base)[name]
            if isinstance(found, FunctionType):
                return str(vars(found).get("_easycluster_kind", ""))
            return found.kind if isinstance(found, (_Attribute, _Cached)) else ""
    return ""


def reduce_method(method: Any) -> Any:
    """Return what a bound method is pickled as if it is one that a proxy forwards, else None."""
    if not isinstance(method.__self__, RemoteProxy):
        return None
    name = method.__name__
    return (
        (find_method, (method.__self__, name)) if forwarded(type(method.__self__), name) == METHOD else None
    )


def missing_attribute(kind: type, name: str) -> str:
    """Return the text of the error for an attribute that a proxy does not have."""
    exported = describe_names(*exported_names(kind))
    return f"{kind.__name__!r} object has no attribute {name!r}; exported are {exported}"


def exported_names(kind: type) -> Tuple[Iterable[str], Iterable[str]]:
    """Return the names of the methods and of the attributes that proxies of this class forward."""
    methods: Dict[str, None] = {}
    attrs: Dict[str, None] = {}
    for base in kind.__mro__:
        own = vars(base)
        methods.update(dict.fromkeys(_sequence(own, "proxy_methods")))
        attrs.update(dict.fromkeys(_sequence(own, "proxy_attrs") + _sequence(own, "proxy_attrs_cache")))
    return methods, attrs
