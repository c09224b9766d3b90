"""`options`: views of clients and proxies, whose calls carry options.

A call takes only five keywords for itself, because every other keyword belongs to the remote function. All
further options of a call, such as a time limit, are given to a view.
"""

from __future__ import annotations

from collections.abc import Iterable

from easycluster_client._calls import completions
from easycluster_client._calls.keywords import (
    ALL_OPTIONS,
    CANCEL,
    DEVICE_MEMORY,
    NO_WAIT_OPTIONS,
    asks_to_wait,
    check_modes,
    encode_threadid,
)
from easycluster_client._deadlines import check_timeout
from easycluster_protocol._constants import SINGLE
from easycluster_protocol._objects.forwarders import METHOD, get_forwarded_kind
from easycluster_protocol._objects.proxies import RemoteProxy
from easycluster_protocol._types import Value

from .client import Client
from .option_views import ClientView, NameView, TargetViews
from .proxy_views import View, make_proxy_view
from .remote_names import RemoteName


def options(target: Value, /, **settings: Value) -> Value:
    """Return a view of a client or proxy whose calls carry options.

    ``options(client, timeout=5).subprocess.check_output(cmd)`` waits 5 seconds at most, and every keyword
    of ``check_output`` can still be passed to it. An option of a call takes precedence over that of the view.

    Args:
        target: a client, a dotted name on one, the proxy of a server object, or such a view; or several
            clients or proxies, for `call_multi` and its kin.
        settings: the five keywords of every call (``nonblocking``, ``oncomplete``, ``onerror``, ``threadid``,
            ``origexc``), and ``timeout``: how long to wait for an answer, in seconds. Each wait for the
            response of a nonblocking call has that limit, unless it is given another one. ``cancel``: whether
            the call is cancelled on the host at the end of that time, see `NonblockingResponse.cancel`.
            ``device_memory``:
            whether arguments and results may be copied from the memory of a device at one end, as of a GPU,
            to that of one at the other end. For proxies of
            iterators also ``prefetch``: how many values to request beyond the one that is asked for. For
            several clients or proxies also ``errors``: ``'raise'``, or ``'return'``: `call_multi` and its kin
            return a list of `Outcome`.

    Raises:
        TypeError: there is no option of that name, an option cannot have that value, ``target`` makes no
            calls, ``prefetch`` is given for something that is not an iterator, or ``errors`` for a single
            target.
        ValueError: a number is too small, or options contradict each other.
    """
    if isinstance(target, View):
        target, settings = target._easycluster_target, {**target._easycluster_options, **settings}
    if _is_several(target):
        return _make_views(target, settings)
    _check(settings)
    if "prefetch" in settings:
        _check_prefetch(target, settings)
    if isinstance(target, RemoteName):
        return NameView(target, settings)
    if isinstance(target, Client):
        return ClientView(target, settings)
    if isinstance(target, RemoteProxy):
        return make_proxy_view(target, settings)
    raise TypeError(f"options are for clients and proxies, not for {target!r}")


def _is_several(target: Value) -> bool:
    single = (RemoteName, Client, RemoteProxy, str, bytes)
    return isinstance(target, Iterable) and not isinstance(target, single)


def _make_views(targets: Iterable[Value], settings: dict[str, Value]) -> TargetViews:
    returns_errors = isinstance(targets, TargetViews) and targets.returns_errors
    errors = settings.pop("errors", "return" if returns_errors else "raise")
    if errors not in ("raise", "return"):
        raise ValueError(f"errors must be 'raise' or 'return', not {errors!r}")
    _check(settings)
    return TargetViews((options(each, **settings) for each in targets), errors == "return")


def _check(settings: dict[str, Value]) -> None:
    known = (*ALL_OPTIONS, CANCEL, "prefetch", DEVICE_MEMORY)
    if "errors" in settings:
        raise TypeError("errors is an option for several clients: options([client, ...], errors='return')")
    for name in settings:
        if name not in known:
            raise TypeError(f"there is no option {name!r}; there are {', '.join(known)}")
    _check_cancel(check_timeout(settings.get("timeout")), settings.get(CANCEL))
    check_modes(settings)
    encode_threadid(settings.get("threadid"), 0)
    for name in ("oncomplete", "onerror"):
        completions.check(name, settings.get(name))


def _check_cancel(timeout: float | None, cancel: Value) -> None:
    if cancel not in (True, False, None):
        raise TypeError(f"cancel must be True or False, not {cancel!r}")
    if cancel and timeout is None:
        raise ValueError(
            "cancel=True says what happens when the time is over: give timeout=SECONDS, too;"
            " response.cancel() cancels a call at once"
        )


def _check_prefetch(target: Value, settings: dict[str, Value]) -> None:
    count = settings["prefetch"]
    if not isinstance(target, RemoteProxy) or get_forwarded_kind(type(target), "__next__") != METHOD:
        raise TypeError(
            f"prefetch is an option for proxies of iterators, such as generators, not for {target!r}; "
            "for an object that can be iterated over take iter() first"
        )
    if not isinstance(count, int) or isinstance(count, bool):
        raise TypeError(f"prefetch must be a number of values, not {count!r}")
    if count < 1:
        raise ValueError(f"prefetch must be at least 1, not {count}")
    if not asks_to_wait(settings):
        raise ValueError(
            f"prefetch does not go with {', '.join(NO_WAIT_OPTIONS)}: iteration waits for the values"
        )
    if settings.get("threadid") is SINGLE:
        raise ValueError("prefetch does not go with threadid=SINGLE: an iterator runs in one thread")
