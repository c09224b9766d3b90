"""Views of proxies, whose methods, attributes, operators, iteration and ``with`` carry options, and the base
of all views."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, NoReturn
from weakref import WeakKeyDictionary

from easycluster_client._calls.keywords import NO_WAIT_OPTIONS, OPTIONS, asks_to_wait
from easycluster_client._calls.prefetch import Prefetcher, make_prefetcher
from easycluster_protocol._objects.forwarders import (
    ATTRIBUTE,
    CACHED,
    ITEMS,
    METHOD,
    explain_tool,
    get_forwarded_kind,
    iterate_by_items,
)
from easycluster_protocol._objects.introspection import is_for_tools, is_tool_asking
from easycluster_protocol._objects.operators import OPERATORS
from easycluster_protocol._objects.proxies import RemoteProxy
from easycluster_protocol._objects.proxy_classes import DefaultRemoteProxy
from easycluster_protocol._objects.proxy_methods import ProxyMethod

from .documented import of_instance

if TYPE_CHECKING:
    from easycluster_protocol._types import Value


class View:
    """Base of the views: every name that a view does not have itself belongs to the object behind the view.

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
        raise TypeError(
            f"{self!r} cannot be sent: its options belong to this computer; send the object without them"
        )


# The slots have setters of their own: `__setattr__` of views sets attributes on the server.
_set_target = View.__dict__["_easycluster_target"].__set__
_set_options = View.__dict__["_easycluster_options"].__set__


def split_keywords(
    kwargs: dict[str, Value], options: dict[str, Value]
) -> tuple[dict[str, Value], dict[str, Value]]:
    """Return the keywords of a function apart from the options of its call.

    Args:
        kwargs: the keywords of the call.
        options: the options of the view; those in ``kwargs`` take precedence.
    """
    function_kwargs = {name: value for name, value in kwargs.items() if name not in OPTIONS}
    call_options = {name: value for name, value in kwargs.items() if name in OPTIONS}
    return function_kwargs, {**options, **call_options}


class ProxyView(View):
    """The proxy of a server object, whose calls carry options.

    Operators, iteration and ``with`` always wait: they cannot return a response. Attributes that the class of
    the proxy defines are used as they are. The subclasses of `make_proxy_view` have the operators.
    """

    __slots__ = ()

    __doc__ = of_instance(lambda view: view._easycluster_target.__doc__, __doc__)

    def raw_call_method(
        self,
        method: str,
        args: Iterable[Value] = (),
        kwargs: dict[str, Value] | None = None,
        **options: Value,
    ) -> Value:
        """See `RemoteProxy.raw_call_method`."""
        return self._easycluster_target.raw_call_method(
            method, args, kwargs, **{**_get_options(self), **options}
        )

    def raw_get_attribute(self, name: str, **options: Value) -> Value:
        """See `RemoteProxy.raw_get_attribute`."""
        return self._easycluster_target.raw_get_attribute(name, **{**_get_options(self), **options})

    def raw_set_attribute(self, name: str, value: Value, **options: Value) -> Value:
        """See `RemoteProxy.raw_set_attribute`."""
        return self._easycluster_target.raw_set_attribute(name, value, **{**_get_options(self), **options})

    def __getattr__(self, name: str) -> Value:
        proxy: RemoteProxy = self._easycluster_target
        forwarded = get_forwarded_kind(type(proxy), name)
        if forwarded == METHOD:
            return _bind_method(self, name)
        is_attribute = forwarded in (ATTRIBUTE, CACHED)
        if not is_attribute and not _is_forwarded_by_default(proxy, name):
            return getattr(proxy, name)
        if is_tool_asking(1):
            raise AttributeError(explain_tool(proxy, name))
        if is_attribute:
            return _get_attribute(self, name, forwarded)
        # Only its value shows whether the attribute is a method, so it is waited for.
        value = proxy._easycluster_state.get_attribute(proxy, name, _get_waiting_options(self))
        is_method = isinstance(value, ProxyMethod) and value.__self__ is proxy
        return _bind_method(self, name) if is_method else value

    def __setattr__(self, name: str, value: Value) -> None:
        proxy: RemoteProxy = self._easycluster_target
        if get_forwarded_kind(type(proxy), name) == ATTRIBUTE or _is_forwarded_by_default(proxy, name):
            proxy.raw_set_attribute(name, value, **_get_waiting_options(self))
        else:
            setattr(proxy, name, value)

    def __delattr__(self, name: str) -> None:
        proxy: RemoteProxy = self._easycluster_target
        if get_forwarded_kind(type(proxy), name) == ATTRIBUTE or _is_forwarded_by_default(proxy, name):
            proxy._easycluster_state.operation("delete_attribute", (proxy, name), _get_waiting_options(self))
        else:
            delattr(proxy, name)

    def __dir__(self) -> Iterable[str]:
        return dir(self._easycluster_target)


class PrefetchView(ProxyView):
    """The proxy of an iterator whose values are requested ahead."""

    __slots__ = ("_easycluster_prefetcher",)

    _easycluster_prefetcher: Prefetcher

    def __init__(self, target: Value, options: dict[str, Value]) -> None:
        super().__init__(target, options)
        _set_prefetcher(self, make_prefetcher(target, options["prefetch"], _get_options(self)))

    def __iter__(self) -> Value:
        return self

    def __next__(self) -> Value:
        return self._easycluster_prefetcher.take()


_set_prefetcher = PrefetchView.__dict__["_easycluster_prefetcher"].__set__


def _get_options(view: View) -> dict[str, Value]:
    """Return the options that the view's calls carry."""
    return {name: value for name, value in view._easycluster_options.items() if name != "prefetch"}


def _get_waiting_options(view: View) -> dict[str, Value]:
    """Return the options of a call whose value is needed at once."""
    return {name: value for name, value in _get_options(view).items() if name not in NO_WAIT_OPTIONS}


def _is_forwarded_by_default(proxy: RemoteProxy, name: str) -> bool:
    """Return whether the proxy forwards a name only because it has no attribute of that name itself."""
    if not isinstance(proxy, DefaultRemoteProxy) or name.startswith("__") or is_for_tools(name):
        return False
    return not hasattr(type(proxy), name) and name not in vars(proxy)


def _bind_method(view: ProxyView, name: str) -> Callable[..., Value]:
    """Return a function that calls a method of the server object with the options of the view."""
    proxy: RemoteProxy = view._easycluster_target

    def call(*args: Value, **kwargs: Value) -> Value:
        if isinstance(view, PrefetchView):
            if name in {"send", "throw"}:
                raise TypeError(
                    f"{name}() would reach the generator after the values that were requested ahead;"
                    " use the proxy itself"
                )
            if name == "close":
                view._easycluster_prefetcher.forget()
        method_kwargs, options = split_keywords(kwargs, _get_options(view))
        return proxy.raw_call_method(name, args, method_kwargs, **options)

    call.__name__ = call.__qualname__ = name
    method = getattr(type(proxy), name, None)
    if method is not None:  # its documentation
        call.__doc__ = method.__doc__
        vars(call)["__wrapped__"] = getattr(proxy, name)
    return call


def _get_attribute(view: ProxyView, name: str, forwarded: str) -> Value:
    """Return the value of an attribute, or the response if the options ask for that."""
    proxy, options = view._easycluster_target, _get_options(view)
    if not asks_to_wait(options):
        return proxy.raw_get_attribute(name, **options)
    state = proxy._easycluster_state
    if forwarded == ATTRIBUTE:
        return state.get_attribute(proxy, name, options)
    if name not in state.cache:
        state.cache[name] = state.get_attribute(proxy, name, options)
    return state.cache[name]


def _make_operator(cls: type, name: str) -> Value:
    """Return the method of views that takes the place of an operator of proxies."""
    kind = get_forwarded_kind(cls, name)
    is_remote = kind == METHOD

    def operate(self: Value, *args: Value, **kwargs: Value) -> Value:
        proxy: RemoteProxy = self._easycluster_target
        if name == "__call__" and is_remote:
            return _bind_method(self, name)(*args, **kwargs)
        if kind == ITEMS:
            return iterate_by_items(proxy, _get_waiting_options(self))
        if not is_remote:
            result = getattr(type(proxy), name)(proxy, *args, **kwargs)
        elif name == "__exit__":
            sent = (*args[:2], None)  # tracebacks cannot be sent
            leave = partial(proxy.raw_call_method, name, sent, **_get_waiting_options(self))
            result = proxy._easycluster_state.leave(leave, args)
        else:
            result = proxy.raw_call_method(name, args, **_get_waiting_options(self))
        if result is proxy:
            return self
        is_iterator = name in {"__iter__", "__reversed__"} and isinstance(result, RemoteProxy)
        return make_proxy_view(result, _get_waiting_options(self)) if is_iterator else result

    operate.__name__ = operate.__qualname__ = name
    return operate


#: Stands for an operator that a class does not have; None is one that it switches off.
_MISSING = object()

#: The classes of views by the classes of their proxies and by their bases.
_view_classes: WeakKeyDictionary[type, dict[type, Value]] = WeakKeyDictionary()


def make_proxy_view(proxy: RemoteProxy, options: dict[str, Value]) -> Value:
    """Return a view with the operators that the proxy has."""
    cls, base = type(proxy), PrefetchView if "prefetch" in options else ProxyView
    classes = _view_classes.setdefault(cls, {})
    if base not in classes:
        namespace: dict[str, Value] = {"__slots__": (), "__doc__": vars(ProxyView)["__doc__"]}
        for name in OPERATORS - {"__repr__"} - vars(base).keys():
            # Not by `getattr`, which finds the operators of classes themselves, too.
            found = next((vars(part)[name] for part in cls.__mro__ if name in vars(part)), _MISSING)
            if found not in (_MISSING, vars(object).get(name, _MISSING), RemoteProxy.__str__):
                namespace[name] = None if found is None else _make_operator(cls, name)
        if getattr(cls, "__array_ufunc__", cls) is None:  # see `process_bound`; NumPy asks the class
            namespace["__array_ufunc__"] = None
        classes[base] = type(base.__name__, (base,), namespace)
    return classes[base](proxy, options)
