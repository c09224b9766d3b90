"""One call on many servers, or on many objects, at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING

from easycluster_client._api.client import Client
from easycluster_client._api.option_views import ClientView, TargetViews
from easycluster_client._api.proxy_views import View, split_keywords
from easycluster_client._calls.cancelling import cancel_interrupted
from easycluster_protocol._objects.proxies import RemoteProxy
from easycluster_protocol._types import Value

from .outcomes import Outcome, drop_tracebacks, raise_first

if TYPE_CHECKING:
    from easycluster_client._calls.response import NonblockingResponse

_type_of: Callable[[object], type] = type  # for type checkers, which make no class of `type(value)`


def call_multi(
    connections: Iterable[Client], func: str | Callable[..., Value], /, *args: Value, **kwargs: Value
) -> list[Value]:
    """Call ``func`` with the same arguments on every connection, at once.

    Args:
        connections: the clients; with ``options(clients, errors='return')`` the outcomes are returned.
        func: the function, see `Client.call`.
        args: its arguments.
        kwargs: its keyword arguments, and the five keywords of every call.

    Returns:
        The results, in the order of ``connections``; or a list of `Outcome`, see above.

    Raises:
        Exception: the first error, in the order of ``connections``, after all calls have ended. `outcomes`
            gives the results and errors of all.
    """
    return _gather(
        connections, lambda client: _check_client(client).call(func, *args, **{**kwargs, "nonblocking": True})
    )


def call_method_multi(objects: Iterable[Value], method: str, /, *args: Value, **kwargs: Value) -> list[Value]:
    """Call a method with the same arguments on every object, at once; see `call_multi`.

    Args:
        objects: proxies of server objects, or clients, whose methods are the functions of their servers.
        method: the name of the method.
        args: its arguments.
        kwargs: its keyword arguments, and the five keywords of every call.

    Raises:
        TypeError: one of the objects is neither a proxy nor a client.
    """
    return _gather(objects, lambda target: _start_method(target, method, args, kwargs))


def _start_method(target: Value, method: str, args: tuple[Value, ...], kwargs: dict[str, Value]) -> Value:
    method_kwargs, options = split_keywords(kwargs, {})
    options["nonblocking"] = True
    if _can_call_methods(target):
        return target.raw_call_method(method, args, method_kwargs, **options)
    if isinstance(target, (Client, ClientView)):
        return target.raw_call(method, args, method_kwargs, **options)
    raise TypeError(f"methods are called on proxies and clients, not on {target!r}")


def _can_call_methods(target: object) -> bool:
    return hasattr(type(target), "raw_call_method")  # a client itself has every attribute, its class has not


def eval_multi(connections: Iterable[Client], code: str) -> list[Value]:
    """Evaluate an expression on every connection, at once; see `call_multi`."""
    return _gather(connections, lambda client: _check_client(client).eval(code, nonblocking=True))


def execblock_multi(connections: Iterable[Client], code: str) -> list[Value]:
    """Execute statements on every connection, at once; see `call_multi`."""
    return _gather(connections, lambda client: _check_client(client).execblock(code, nonblocking=True))


def _gather(targets: Iterable[Value], start: Callable[[Value], Value]) -> list[Value]:
    """Start a call on every target; return the results, or the outcomes, when all calls have ended."""
    _check_several(targets)
    returns_errors = isinstance(targets, TargetViews) and targets.returns_errors
    calls: list[NonblockingResponse | Outcome] = []
    take = _take_outcome if returns_errors else _take_and_report
    found: list[Outcome] = []
    try:
        calls.extend(map(partial(_start, start), targets))  # one C call, so none is started and lost
        while calls:
            found.append(take(calls[0]))
            # Errors hold this frame, which must hold no response: they would hold themselves.
            del calls[0]
    except BaseException as error:
        cancel_interrupted(error, [each for each in calls if not isinstance(each, Outcome)])
        calls.clear()
        raise
    if returns_errors:
        drop_tracebacks(found)
        return found
    raise_first(found)
    return [each.value for each in found]


def _start(start: Callable[[Value], Value], target: Value) -> Value:
    """Return the response of a call, or its outcome if it cannot be made."""
    try:
        return start(target)
    except Exception as error:
        return Outcome(_name_host(target), None, error)


def _check_several(targets: Value) -> None:
    """Raise `TypeError` if the first argument is one client, or the name of a function."""
    cls = _type_of(targets)
    is_iterable = hasattr(cls, "__iter__") or hasattr(cls, "__getitem__")
    if not is_iterable or isinstance(targets, (str, Client, ClientView)):
        raise TypeError(
            f"the first argument is a list of clients (or of proxies, for methods), not {targets!r}: write"
            " call_multi([client, ...], 'function', ...)"
        )


def _check_client(target: Value) -> Value:
    if isinstance(target, str):
        raise TypeError(f"{target!r} is a text: give the client itself, as the values() of a mapping do")
    return target


def _take_and_report(response: NonblockingResponse | Outcome) -> Outcome:
    """Wait for the outcome of a call; the stack trace of an error is printed."""
    if isinstance(response, Outcome):
        return response
    host = response.call_session.peername
    try:
        response.call_wait(None)
        return Outcome(host, response.result(), None)
    except Exception as error:
        return Outcome(host, None, error)
    finally:
        del response  # see `_gather`


def _take_outcome(response: NonblockingResponse | Outcome) -> Outcome:
    """Wait for the outcome of a call; nothing is printed."""
    if isinstance(response, Outcome):
        return response
    host = response.call_session.peername
    try:
        response.call_wait(None)
        error = response.exception()
        if error is None:
            return Outcome(host, response.result(), None)
    except Exception as failure:  # it did not end in time
        error = failure
    try:
        assert isinstance(error, Exception)
        return Outcome(host, None, error)
    finally:
        del response, error


def _name_host(target: Value) -> str:
    """Return the name of the server on which a call could not be made."""
    if isinstance(target, View):
        target = target._easycluster_target
    if isinstance(target, RemoteProxy):
        return str(target._easycluster_state.peername)
    return target.peername if isinstance(target, Client) else ""
