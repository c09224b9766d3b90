"""Views of proxies whose calls carry options: methods, attributes, operators, iteration and ``with``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any
from weakref import WeakKeyDictionary

from easycluster_client._calls.keywords import UNATTENDED
from easycluster_client._calls.prefetch import Ahead
from easycluster_protocol._objects.exports import OPERATORS
from easycluster_protocol._objects.proxies import (
    ATTRIBUTE,
    CACHED,
    METHOD,
    ProxyMethod,
    RemoteProxy,
    forwarded,
)
from easycluster_protocol._objects.proxy_classes import DefaultRemoteProxy

from .view import View, split


class ProxyView(View):
    """The proxy of a server object, whose calls carry options.

    Operators, iteration and ``with`` always wait: they have no response to give. What the proxy's class has
    itself is used as it is. The subclasses of `view_of_proxy` have the operators.
    """

    __slots__ = ()

    def raw_call_method(
        self, method: str, args: Iterable[Any] = (), kwargs: dict[str, Any] | None = None, **given: Any
    ) -> Any:
        """See `RemoteProxy.raw_call_method`."""
        return self._inside[0].raw_call_method(method, args, kwargs, **{**_options(self), **given})

    def raw_get_attribute(self, name: str, **given: Any) -> Any:
        """See `RemoteProxy.raw_get_attribute`."""
        return self._inside[0].raw_get_attribute(name, **{**_options(self), **given})

    def raw_set_attribute(self, name: str, value: Any, **given: Any) -> Any:
        """See `RemoteProxy.raw_set_attribute`."""
        return self._inside[0].raw_set_attribute(name, value, **{**_options(self), **given})

    def __getattr__(self, name: str) -> Any:
        proxy: RemoteProxy = self._inside[0]
        what = forwarded(type(proxy), name)
        if what == METHOD:
            return _method(self, name)
        if what in (ATTRIBUTE, CACHED):
            return _attribute(self, name, what)
        if not _asks_server(proxy, name):
            return getattr(proxy, name)
        # Only the value tells whether it is that of a method, so it is waited for.
        value = proxy._easycluster_state.get_attribute(proxy, name, _waiting(self))
        return _method(self, name) if isinstance(value, ProxyMethod) and value.__self__ is proxy else value

    def __setattr__(self, name: str, value: Any) -> None:
        proxy: RemoteProxy = self._inside[0]
        if forwarded(type(proxy), name) == ATTRIBUTE or _asks_server(proxy, name):
            proxy.raw_set_attribute(name, value, **_waiting(self))
        else:
            setattr(proxy, name, value)

    def __delattr__(self, name: str) -> None:
        proxy: RemoteProxy = self._inside[0]
        if forwarded(type(proxy), name) == ATTRIBUTE or _asks_server(proxy, name):
            proxy._easycluster_state.operation("delete_attribute", (proxy, name), _waiting(self))
        else:
            delattr(proxy, name)

    def __dir__(self) -> Iterable[str]:
        return dir(self._inside[0])


class AheadView(ProxyView):
    """The proxy of an iterator from which values are fetched ahead, and those that nobody has taken."""

    __slots__ = ("_ahead",)

    _ahead: Ahead

    def __init__(self, target: Any, chosen: dict[str, Any]) -> None:
        super().__init__(target, chosen)
        _set_ahead(self, Ahead(target, chosen["prefetch"], _options(self)))

    def __iter__(self) -> Any:
        return self

    def __next__(self) -> Any:
        return self._ahead.take()


_set_ahead = AheadView.__dict__["_ahead"].__set__


def _options(view: View) -> dict[str, Any]:
    """Return the options of calls."""
    return {name: value for name, value in view._inside[1].items() if name != "prefetch"}


def _waiting(view: View) -> dict[str, Any]:
    """Return the options of calls whose value is needed at once."""
    return {name: value for name, value in _options(view).items() if name not in UNATTENDED}


def _asks_server(proxy: RemoteProxy, name: str) -> bool:
    """Whether the proxy forwards a name only because it has nothing of that name itself."""
    if not isinstance(proxy, DefaultRemoteProxy) or name.startswith("__"):
        return False
    return not hasattr(type(proxy), name) and name not in vars(proxy)


def _method(view: ProxyView, name: str) -> Callable[..., Any]:
    proxy: RemoteProxy = view._inside[0]

    def call(*args: Any, **kwargs: Any) -> Any:
        if isinstance(view, AheadView):
            if name in {"send", "throw"}:
                raise TypeError(
                    f"{name}() would reach the generator behind the values that were fetched ahead;"
                    " use the proxy itself"
                )
            if name == "close":
                view._ahead.forget()
        own, given = split(kwargs, _options(view))
        return proxy.raw_call_method(name, args, own, **given)

    call.__name__ = call.__qualname__ = name
    return call


def _attribute(view: ProxyView, name: str, what: str) -> Any:
    proxy, chosen = view._inside[0], _options(view)
    if any(map(chosen.get, UNATTENDED)):
        return proxy.raw_get_attribute(name, **chosen)
    state = proxy._easycluster_state
    if what == ATTRIBUTE:
        return state.get_attribute(proxy, name, chosen)
    if name not in state.cache:
        state.cache[name] = state.get_attribute(proxy, name, chosen)
    return state.cache[name]


def _operator(kind: type, name: str) -> Any:
    """Return the method of views that stands for an operator of proxies."""
    remote = forwarded(kind, name) == METHOD

    def operate(self: Any, *args: Any, **kwargs: Any) -> Any:
        proxy: RemoteProxy = self._inside[0]
        if name == "__call__" and remote:
            return _method(self, name)(*args, **kwargs)
        if not remote:
            result = getattr(kind, name)(proxy, *args, **kwargs)
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
_types: WeakKeyDictionary[type, dict[type, Any]] = WeakKeyDictionary()


def view_of_proxy(proxy: RemoteProxy, chosen: dict[str, Any]) -> Any:
    """Return a view with the operators that the proxy has."""
    kind, base = type(proxy), AheadView if "prefetch" in chosen else ProxyView
    types = _types.setdefault(kind, {})
    if base not in types:
        own: dict[str, Any] = {"__slots__": ()}
        for name in OPERATORS - {"__repr__"} - vars(base).keys():
            found = getattr(kind, name, None)
            if found is not getattr(object, name, None):
                own[name] = None if found is None else _operator(kind, name)
        types[base] = type(base.__name__, (base,), own)
    return types[base](proxy, chosen)
