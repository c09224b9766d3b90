"""Proxies: a client holds one for an object that stays on the server.

When a value that names the object is unpickled, `find_proxy` makes the proxy; while it is alive, the same
object has the same proxy. Passed back on its own connection it becomes the object again, by `find_object`.
"""

from __future__ import annotations

from _thread import _local
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterable, Iterator, Mapping, Optional, Tuple

from .forwarders import METHOD, define_forwarders, get_forwarded_kind, raise_missing, read_names
from .operators import describe_names
from .process_bound import make_array_refusals

if TYPE_CHECKING:  # novm
    from typing import Protocol

    from easycluster_protocol._types import Args, Kwargs, Value

    from .exports import Names, ObjectTable

    class ProxyState(Protocol):
        """A proxy's connection, and how it makes calls there, see `easycluster_client`.

        Attributes:
            cache: the values of attributes that never change.
            class_name: the full name of the object's class; "" where only the class of the proxy is known.
            documentation: the docstring of the object's class, None if that is not known here.
        """

        cache: Dict[str, Value]
        class_name: str

        @property
        def documentation(self) -> Optional[str]: ...

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

        def leave(self, leave: Callable[[], Value], error: Tuple[object, ...]) -> Value:
            """Make the call that ends a ``with`` block, which an exception may have left."""
            ...

        def list_attributes(self, proxy: RemoteProxy) -> Iterable[str]:
            """Return the attributes of the object that its class names, as far as that is known here."""
            ...

        def check_pickling(self, references: object) -> None:
            """Raise TypeError unless the proxy is pickled for a call on its own connection."""
            ...


#: For each thread. `device_memory`: whether values in the memory of devices may be pickled, see
#: `_values.libraries`. On a client `references`: those of the connection for which a call is being pickled;
#: `answering`: those of the connection whose answer is being unpickled, which may make calls; `passed`: the
#: proxies in the call, if they are wanted. The references are
#: `easycluster_client._session.references`.
context: Any = _local()

#: On a server: its objects by number (`easycluster_server._objects.table`). A worker serves one connection.
server_objects: Optional[ObjectTable] = None


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
        raise TypeError(
            f"server object {oid} has a meaning only to the client that was given it: pass its proxy to calls"
            " of that client, not in a pickle or a file"
        )
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
        raise TypeError(
            f"server object {oid} has a meaning only on its own server: pass its proxy to calls there, not in"
            " a pickle or a file"
        )
    return server_objects.get(oid)


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
        if cls.__doc__ is None:
            setattr(cls, "__doc__", _Documentation((RemoteProxy.__doc__ or "").partition("\n")[0]))  # noqa: B010
        define_forwarders(cls, _OWN_NAMES)
        if all(get_forwarded_kind(cls, name) == METHOD for name in ("__getitem__", "__len__")):
            for name, refusal in make_array_refusals().items():
                if not hasattr(cls, name):
                    setattr(cls, name, refusal)

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

    def __str__(self) -> str:
        # A class that exports a representation of its objects, or a class of proxies that has one, is obeyed.
        return _describe(self) if type(self).__repr__ is RemoteProxy.__repr__ else repr(self)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """Display the proxy in IPython and notebooks."""
        printer.text(_describe(self) if type(self).__repr__ is RemoteProxy.__repr__ else repr(self))

    def __dir__(self) -> Iterator[str]:
        # Without asking the server: interactive shells call this at each keystroke.
        own = {*dir(type(self)), *vars(self)}
        return iter(sorted({*(own - _OWN_NAMES), *self._easycluster_state.list_attributes(self)}))

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


def _describe(proxy: RemoteProxy) -> str:
    state = proxy._easycluster_state
    name = state.class_name.rpartition(".")[2] or type(proxy).__name__
    return f"<{name} (object {state.oid}) on {state.peername}>"


class _Documentation:
    """The docstring of proxies whose class has none of its own: that of the class of the object.

    Args:
        of_class: the docstring of the class of proxies.
    """

    def __init__(self, of_class: Optional[str]) -> None:
        self._of_class = of_class

    def __get__(self, proxy: Optional[RemoteProxy], cls: object) -> Optional[str]:
        if proxy is None:
            return self._of_class
        return proxy._easycluster_state.documentation or self._of_class


#: The names of `RemoteProxy` itself, which no server can replace.
_OWN_NAMES = frozenset(name for name in vars(RemoteProxy) if not name.startswith("_")) | {
    "__init__",
    "_easycluster_state",
}


def explain_missing(cls: type, name: str) -> str:
    """Return the text of the error for an attribute that a proxy does not have."""
    exported = describe_names(*list_exported_names(cls))
    return f"{cls.__name__!r} object has no attribute {name!r}; exported are {exported}"


def list_exported_names(cls: type) -> Tuple[Iterable[str], Iterable[str]]:
    """Return the names of the methods and of the attributes that proxies of this class forward."""
    methods: Dict[str, None] = {}
    attrs: Dict[str, None] = {}
    for base in cls.__mro__:
        methods.update(dict.fromkeys(read_names(base, "proxy_methods")))
        attrs.update(dict.fromkeys(read_names(base, "proxy_attrs")))
        attrs.update(dict.fromkeys(read_names(base, "proxy_attrs_cache")))
    return methods, attrs
