"""The views of `easycluster.options`, and those of proxies: methods, attributes, operators, iteration,
``with``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NoReturn
from weakref import WeakKeyDictionary

from easycluster_client._calls.keywords import NO_WAIT_OPTIONS, OPTIONS
from easycluster_client._calls.prefetch import Prefetcher
from easycluster_protocol._objects.exports import OPERATORS
from easycluster_protocol._objects.proxies import (
    ATTRIBUTE,
    CACHED,
    METHOD,
    ProxyMethod,
    RemoteProxy,
    get_forwarded_kind,
)
from easycluster_protocol._objects.proxy_classes import DefaultRemoteProxy

if TYPE_CHECKING:
    from easycluster_protocol._types import Value


class View:
    """Base of the views: every name that is not theirs belongs to the object behind the view.

    Args:
        target: the object behind the view.
        options: the options that calls carry.
    """

    __slots__ = ("_easycluster_options", "_easycluster_target")

    _easycluster_target: Value
    _easycluster_options: dict[str, Value]

    def __init__(self, target: Value, options: dict[str, Value]) -> None:
        _set_target(self, target)
        _set_options(self, options)

    def __repr__(self) -> str:
        options = ", ".join(f"{name}={value!r}" for name, value in self._easycluster_options.items())
        return f"<{self._easycluster_target!r} with {options}>"

    def __reduce_ex__(self, protocol: Value) -> NoReturn:
        raise TypeError(f"{self!r} cannot be sent")


# The setters of the slots: `__setattr__` of the views is the server's.
_set_target = View.__dict__["_easycluster_target"].__set__
_set_options = View.__dict__["_easycluster_options"].__set__


def split_keywords(
    kwargs: dict[str, Value], options: dict[str, Value]
) -> tuple[dict[str, Value], dict[str, Value]]:
    """Return the keywords of a function, and the options of its call: those of the view, unless the call
    gives others."""
    own = {name: value for name, value in kwargs.items() if name not in OPTIONS}
    given = {name: value for name, value in kwargs.items() if name in OPTIONS}
    return own, {**options, **given}


class ProxyView(View):
    """The proxy of a server object, whose calls carry options.

    Operators, iteration and ``with`` always wait: they have no response to give. Attributes of the proxy's
    own class are used as they are. The subclasses of `view_of_proxy` have the operators.
    """

    __slots__ = ()

    def raw_call_method(
        self,
        method: str,
        args: Iterable[Value] = (),
        kwargs: dict[str, Value] | None = None,
        **options: Value,
    ) -> Value:
        """See `RemoteProxy.raw_call_method`."""
        return self._easycluster_target.raw_call_method(method, args, kwargs, **{**_options(self), **options})

    def raw_get_attribute(self, name: str, **options: Value) -> Value:
        """See `RemoteProxy.raw_get_attribute`."""
        return self._easycluster_target.raw_get_attribute(name, **{**_options(self), **options})

    def raw_set_attribute(self, name: str, value: Value, **options: Value) -> Value:
        """See `RemoteProxy.raw_set_attribute`."""
        return self._easycluster_target.raw_set_attribute(name, value, **{**_options(self), **options})

    def __getattr__(self, name: str) -> Value:
        proxy: RemoteProxy = self._easycluster_target
        way = get_forwarded_kind(type(proxy), name)
        if way == METHOD:
            return _method(self, name)
        if way in (ATTRIBUTE, CACHED):
            return _attribute(self, name, way)
        if not _asks_server(proxy, name):
            return getattr(proxy, name)
        # Only the value tells whether it is that of a method, so it is waited for.
        value = proxy._easycluster_state.get_attribute(proxy, name, _waiting(self))
        return _method(self, name) if isinstance(value, ProxyMethod) and value.__self__ is proxy else value

    def __setattr__(self, name: str, value: Value) -> None:
        proxy: RemoteProxy = self._easycluster_target
        if get_forwarded_kind(type(proxy), name) == ATTRIBUTE or _asks_server(proxy, name):
            proxy.raw_set_attribute(name, value, **_waiting(self))
        else:
            setattr(proxy, name, value)

    def __delattr__(self, name: str) -> None:
        proxy: RemoteProxy = self._easycluster_target
        if get_forwarded_kind(type(proxy), name) == ATTRIBUTE or _asks_server(proxy, name):
            proxy._easycluster_state.operation("delete_attribute", (proxy, name), _waiting(self))
        else:
            delattr(proxy, name)

    def __dir__(self) -> Iterable[str]:
        return dir(self._easycluster_target)


class PrefetchView(ProxyView):
    """The proxy of an iterator from which values are fetched ahead, and the values that have not been
    taken."""

    __slots__ = ("_easycluster_prefetcher",)

    _easycluster_prefetcher: Prefetcher

    def __init__(self, target: Value, options: dict[str, Value]) -> None:
        super().__init__(target, options)
        _set_prefetcher(self, Prefetcher(target, options["prefetch"], _options(self)))

    def __iter__(self) -> Value:
        return self

    def __next__(self) -> Value:
        return self._easycluster_prefetcher.take()


_set_prefetcher = PrefetchView.__dict__["_easycluster_prefetcher"].__set__


def _options(view: View) -> dict[str, Value]:
    """Return the options of calls."""
    return {name: value for name, value in view._easycluster_options.items() if name != "prefetch"}


def _waiting(view: View) -> dict[str, Value]:
    """Return the options of calls whose value is needed at once."""
    return {name: value for name, value in _options(view).items() if name not in NO_WAIT_OPTIONS}


def _asks_server(proxy: RemoteProxy, name: str) -> bool:
    """Whether the proxy forwards a name only because it has nothing of that name itself."""
    if not isinstance(proxy, DefaultRemoteProxy) or name.startswith("__"):
        return False
    return not hasattr(type(proxy), name) and name not in vars(proxy)


def _method(view: ProxyView, name: str) -> Callable[..., Value]:
    proxy: RemoteProxy = view._easycluster_target

    def call(*args: Value, **kwargs: Value) -> Value:
        if isinstance(view, PrefetchView):
            if name in {"send", "throw"}:
                raise TypeError(
                    f"{name}() would reach the generator behind the values that were fetched ahead;"
                    " use the proxy itself"
                )
            if name == "close":
                view._easycluster_prefetcher.forget()
        own, options = split_keywords(kwargs, _options(view))
        return proxy.raw_call_method(name, args, own, **options)

    call.__name__ = call.__qualname__ = name
    return call


def _attribute(view: ProxyView, name: str, way: str) -> Value:
    proxy, options = view._easycluster_target, _options(view)
    if any(map(options.get, NO_WAIT_OPTIONS)):
        return proxy.raw_get_attribute(name, **options)
    state = proxy._easycluster_state
    if way == ATTRIBUTE:
        return state.get_attribute(proxy, name, options)
    if name not in state.cache:
        state.cache[name] = state.get_attribute(proxy, name, options)
    return state.cache[name]


def _operator(cls: type, name: str) -> Value:
    """Return the method of views that stands for an operator of proxies."""
    remote = get_forwarded_kind(cls, name) == METHOD

    def operate(self: Value, *args: Value, **kwargs: Value) -> Value:
        proxy: RemoteProxy = self._easycluster_target
        if name == "__call__" and remote:
            return _method(self, name)(*args, **kwargs)
        if not remote:
            result = getattr(cls, name)(proxy, *args, **kwargs)
        else:
            if name == "__exit__":
                args = (*args[:2], None)  # tracebacks cannot be sent
            result = proxy.raw_call_method(name, args, **_waiting(self))
        if result is proxy:
            return self
        iterates = name in {"__iter__", "__reversed__"} and isinstance(result, RemoteProxy)
        return view_of_proxy(result, _waiting(self)) if iterates else result

    operate.__name__ = operate.__qualname__ = name
    return operate


#: Class of proxies → the classes of its views.
_types: WeakKeyDictionary[type, dict[type, Value]] = WeakKeyDictionary()


def view_of_proxy(proxy: RemoteProxy, options: dict[str, Value]) -> Value:
    """Return a view with the operators that the proxy has."""
    cls, base = type(proxy), PrefetchView if "prefetch" in options else ProxyView
    types = _types.setdefault(cls, {})
    if base not in types:
        own: dict[str, Value] = {"__slots__": ()}
        for name in OPERATORS - {"__repr__"} - vars(base).keys():
            found = getattr(cls, name, None)
            if found is not getattr(object, name, None):
                own[name] = None if found is None else _operator(cls, name)
        types[base] = type(base.__name__, (base,), own)
    return types[base](proxy, options)
