"""`options`: views of clients and proxies whose calls carry options.

A call takes five keywords for itself and no more, for every other one belongs to the remote function.
What a call can be told besides, as how long to wait for it, is told to a view.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from easycluster_client import _deadlines
from easycluster_client._calls import completions
from easycluster_client._calls.keywords import ALL_OPTIONS, UNATTENDED
from easycluster_client._calls.maker import thread_of
from easycluster_protocol._constants import SINGLE
from easycluster_protocol._objects.proxies import METHOD, RemoteProxy, forwarded

from .client import Client
from .proxy_views import view_of_proxy
from .remote_names import RemoteName
from .view import View, split

#: The methods of a client that call; all their keywords are options.
_CALLING = ("eval", "execblock", "import_module", "import_modules", "send_request", "update_definitions")


def options(target: Any, /, **chosen: Any) -> Any:
    """Return a view of a client or proxy whose calls carry options.

    ``options(client, timeout=5).subprocess.check_output(cmd)`` waits 5 seconds at most, and every
    keyword of ``check_output`` can still be passed to it. What a call is told itself goes first.

    Args:
        target: a client, a dotted name on one, the proxy of a server object, or such a view.
        chosen: the five keywords of every call (``nonblocking``, ``oncomplete``, ``onerror``, ``threadid``,
            ``origexc``), and ``timeout``: how long to wait for an answer, in seconds. Each wait of a
            nonblocking call's response that is not told another limit has that one. For proxies of iterators
            also ``prefetch``: how many values to fetch ahead of the one that is asked for.

    Raises:
        TypeError: there is no option of that name, it has no such value, ``target`` makes no calls, or values
            are to be fetched ahead from what is no iterator.
        ValueError: a number is too small, or options contradict each other.
    """
    if isinstance(target, View):
        target, before = target._inside
        chosen = {**before, **chosen}
    _check(chosen)
    if "prefetch" in chosen:
        _check_prefetch(target, chosen)
    if isinstance(target, RemoteName):
        return NameView(target, chosen)
    if isinstance(target, Client):
        return ClientView(target, chosen)
    if isinstance(target, RemoteProxy):
        return view_of_proxy(target, chosen)
    raise TypeError(f"options are for clients and proxies, not for {target!r}")


def class_of(target: object) -> Any:
    """Where to ask for what a proxy has: itself, it may have every name."""
    return type(target)


def _check(chosen: dict[str, Any]) -> None:
    known = (*ALL_OPTIONS, "prefetch")
    for name in chosen:
        if name not in known:
            raise TypeError(f"there is no option {name!r}; there are {', '.join(known)}")
    _deadlines.check(chosen.get("timeout"))
    thread_of(chosen.get("threadid"), 0)
    for name in ("oncomplete", "onerror"):
        completions.check(name, chosen.get(name))


def _check_prefetch(target: Any, chosen: dict[str, Any]) -> None:
    count = chosen["prefetch"]
    if not isinstance(target, RemoteProxy) or forwarded(type(target), "__next__") != METHOD:
        raise TypeError(
            f"prefetch is an option for proxies of iterators, as generators are, not for {target!r}; "
            "of what can be iterated over take iter() first"
        )
    if not isinstance(count, int) or isinstance(count, bool):
        raise TypeError(f"prefetch must be a number of values, not {count!r}")
    if count < 1:
        raise ValueError(f"prefetch must be at least 1, not {count}")
    if any(map(chosen.get, UNATTENDED)):
        raise ValueError(
            f"prefetch does not go with {', '.join(UNATTENDED)}: who iterates waits for the values"
        )
    if chosen.get("threadid") is SINGLE:
        raise ValueError("prefetch does not go with threadid=SINGLE: an iterator goes on in one thread")


class ClientView(View):
    """A client whose calls carry options."""

    __slots__ = ()

    def call(self, func: str | Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """See `Client.call`."""
        own, given = split(kwargs, self._inside[1])
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
        return view_of_proxy(client.get_root(), chosen)

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


class NameView(View):
    """A dotted name on a server, whose calls carry options; see `RemoteName`."""

    __slots__ = ()

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        name, chosen = self._inside
        own, given = split(kwargs, chosen)
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
