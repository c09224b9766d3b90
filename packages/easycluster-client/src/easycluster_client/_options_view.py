"""`options`: views of clients and proxies whose calls carry options.

A call takes five keywords for itself and no more, for every other one belongs to the remote function.
What a call can be told besides, as how long to wait for it, is told to a view.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NoReturn

from . import _completions, _timeouts
from ._calls import ALL_OPTIONS, OPTIONS, thread_of
from ._client import Client
from ._names import RemoteName

#: The methods of a client that call; all their keywords are options.
_CALLING = ("eval", "execblock", "import_module", "import_modules", "send_request")


def options(target: Any, /, **chosen: Any) -> Any:
    """Return a view of a client or proxy whose calls carry options.

    ``options(client, timeout=5).subprocess.check_output(cmd)`` waits 5 seconds at most, and every
    keyword of ``check_output`` can still be passed to it. What a call is told itself goes first.

    Args:
        target: a client, a dotted name on one, the proxy of a server object, or such a view.
        chosen: the five keywords of every call (``nonblocking``, ``oncomplete``, ``onerror``, ``threadid``,
            ``origexc``), and ``timeout``: how long to wait for an answer, in seconds. Each wait of a
            nonblocking call's response that is not told another limit has that one.

    Raises:
        TypeError: there is no option of that name, it has no such value, or ``target`` makes no calls.
        ValueError: the limit is negative.
    """
    _check(chosen)
    if isinstance(target, (ClientView, NameView, ProxyView)):
        inner, before = target._inside
        return type(target)(inner, {**before, **chosen})
    if isinstance(target, RemoteName):
        return NameView(target, chosen)
    if isinstance(target, Client):
        return ClientView(target, chosen)
    if hasattr(class_of(target), "raw_call_method"):
        return ProxyView(target, chosen)
    raise TypeError(f"options are for clients and proxies, not for {target!r}")


def class_of(target: object) -> Any:
    """Where to ask for what a proxy has: itself, it may have every name."""
    return type(target)


def _check(chosen: dict[str, Any]) -> None:
    for name in chosen:
        if name not in ALL_OPTIONS:
            raise TypeError(f"there is no option {name!r}; there are {', '.join(ALL_OPTIONS)}")
    _timeouts.check(chosen.get("timeout"))
    thread_of(chosen.get("threadid"), 0)
    for name in ("oncomplete", "onerror"):
        _completions.check(name, chosen.get(name))


class _View:
    """What the views share: every name that is not theirs belongs to what they show."""

    __slots__ = ("_inside",)

    _inside: tuple[Any, Any]

    def __init__(self, target: Any, chosen: dict[str, Any]) -> None:
        _set_inside(self, (target, chosen))

    def __repr__(self) -> str:
        target, chosen = self._inside
        return f"<{target!r} with {', '.join(f'{name}={value!r}' for name, value in chosen.items())}>"

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError(f"{self!r} cannot be sent")

    def _split(self, kwargs: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return a function's own keywords, and the options of its call."""
        own = {name: value for name, value in kwargs.items() if name not in OPTIONS}
        given = {name: value for name, value in kwargs.items() if name in OPTIONS}
        return own, {**self._inside[1], **given}


_set_inside = _View.__dict__["_inside"].__set__


class ClientView(_View):
    """A client whose calls carry options."""

    __slots__ = ()

    def call(self, func: str | Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """See `Client.call`."""
        own, given = self._split(kwargs)
        return self._inside[0].raw_call(func, args, own, **given)

    def raw_call(
        self,
        name: str | Callable[..., Any],
        args: Iterable[Any],
        kwargs: dict[str, Any] | None = None,
        **given: Any,
    ) -> Any:
        """See `Client.raw_call`."""
        client, chosen = self._inside
        return client.raw_call(name, args, kwargs, **{**chosen, **given})

    def get_root(self) -> Any:
        """See `Connection.get_root`."""
        client, chosen = self._inside
        return ProxyView(client.get_root(), chosen)

    def __getattr__(self, name: str) -> Any:
        client, chosen = self._inside
        value = getattr(client, name)
        if isinstance(value, RemoteName):
            return NameView(value, chosen)
        if name in _CALLING:

            def call(*args: Any, **given: Any) -> Any:
                return value(*args, **{**chosen, **given})

            return call
        return value

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._inside[0], name, value)


class NameView(_View):
    """A dotted name on a server, whose calls carry options; see `RemoteName`."""

    __slots__ = ()

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        name, _ = self._inside
        own, given = self._split(kwargs)
        return name._client.raw_call(name._path, args, own, **given)

    def __getattr__(self, name: str) -> Any:
        target, chosen = self._inside
        if name == "value":
            return target._client._easycluster.operation("get_value", (target._path,), chosen)
        return NameView(getattr(target, name), chosen)

    def __setattr__(self, name: str, value: Any) -> None:
        target, chosen = self._inside
        if name != "value":
            setattr(target, name, value)  # which explains itself
        # An assignment has nothing to return a response by, so nobody would learn of its errors.
        waiting = {**chosen, "nonblocking": False}
        target._client._easycluster.operation("set_value", (target._path, value), waiting)


class ProxyView(_View):
    """The proxy of a server object, whose calls carry options.

    This is where proxies plug in. Of their class is wanted: ``raw_call_method(method, args, kwargs,
    **options)``, ``raw_get_attribute(name, **options)``, ``raw_set_attribute(name, value, **options)``, all
    with the six names of `ALL_OPTIONS`, and the names in ``proxy_methods`` and ``proxy_attrs``. Whatever
    else the class has itself is used as it is.
    """

    __slots__ = ()

    def raw_call_method(
        self, method: str, args: Iterable[Any] = (), kwargs: dict[str, Any] | None = None, **given: Any
    ) -> Any:
        """See `RemoteProxy.raw_call_method`."""
        proxy, chosen = self._inside
        return proxy.raw_call_method(method, args, dict(kwargs or {}), **{**chosen, **given})

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        return self._method("__call__")(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        proxy, chosen = self._inside
        kind = class_of(proxy)
        if name in getattr(kind, "proxy_methods", ()):
            return self._method(name)
        if name in getattr(kind, "proxy_attrs", ()):
            return proxy.raw_get_attribute(name, **chosen)
        value = getattr(proxy, name)
        # A proxy that forwards every name tells by the value whether it was that of a method.
        return self._method(name) if callable(value) and not hasattr(kind, name) else value

    def __setattr__(self, name: str, value: Any) -> None:
        proxy, chosen = self._inside
        kind = class_of(proxy)
        if hasattr(kind, name) and name not in getattr(kind, "proxy_attrs", ()):
            setattr(proxy, name, value)
        else:
            proxy.raw_set_attribute(name, value, **{**chosen, "nonblocking": False})

    def _method(self, name: str) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            own, given = self._split(kwargs)
            return self._inside[0].raw_call_method(name, args, own, **given)

        call.__name__ = name
        return call
