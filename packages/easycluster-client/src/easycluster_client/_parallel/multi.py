"""One call on many servers, or on many objects, at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from easycluster_client._api.client import Client
from easycluster_client._api.option_views import ClientView
from easycluster_client._api.proxy_views import split_keywords
from easycluster_protocol._types import Value


def call_multi(
    connections: Iterable[Client], func: str | Callable[..., Value], /, *args: Value, **kwargs: Value
) -> list[Value]:
    """Call ``func`` with the same arguments on every connection, at once.

    Returns:
        The results, in the order of ``connections``.

    Raises:
        Exception: the first error, in the order of ``connections``, after all calls have ended.
    """
    return _gather(connections, lambda client: client.call(func, *args, **{**kwargs, "nonblocking": True}))


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
    return _gather(connections, lambda client: client.eval(code, nonblocking=True))


def execblock_multi(connections: Iterable[Client], code: str) -> list[Value]:
    """Execute statements on every connection, at once; see `call_multi`."""
    return _gather(connections, lambda client: client.execblock(code, nonblocking=True))


def _gather(targets: Iterable[Value], start: Callable[[Value], Value]) -> list[Value]:
    """Start a call on every target; return the results when all calls have ended."""
    responses: list[Value] = []
    errors: list[tuple[int, Exception]] = []
    for index, target in enumerate(targets):
        try:
            responses.append(start(target))
        except Exception as error:
            responses.append(None)
            errors.append((index, error))
    results: list[Value] = []
    for index, response in enumerate(responses):
        try:
            results.append(None if response is None else response.wait())
        except Exception as error:
            errors.append((index, error))
    if errors:
        raise min(errors, key=lambda pair: pair[0])[1]
    return results
