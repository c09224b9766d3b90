"""One call on many servers at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ._client import Client


def call_multi(
    connections: Iterable[Client], func: str | Callable[..., Any], /, *args: Any, **kwargs: Any
) -> list[Any]:
    """Call ``func`` with the same arguments on every connection, at once.

    Returns:
        The results, in the order of ``connections``.

    Raises:
        Exception: the first of the errors, in that order, after all calls have ended.
    """
    return _gather(connections, lambda client: client.call(func, *args, **{**kwargs, "nonblocking": True}))


def eval_multi(connections: Iterable[Client], code: str) -> list[Any]:
    """Evaluate an expression on every connection, at once; see `call_multi`."""
    return _gather(connections, lambda client: client.eval(code, nonblocking=True))


def execblock_multi(connections: Iterable[Client], code: str) -> list[Any]:
    """Execute statements on every connection, at once; see `call_multi`."""
    return _gather(connections, lambda client: client.execblock(code, nonblocking=True))


def _gather(connections: Iterable[Client], start: Callable[[Client], Any]) -> list[Any]:
    responses: list[Any] = []
    errors: list[tuple[int, Exception]] = []
    for index, client in enumerate(connections):
        try:
            responses.append(start(client))
        except Exception as error:
            responses.append(None)
            errors.append((index, error))
    results: list[Any] = []
    for index, response in enumerate(responses):
        try:
            results.append(None if response is None else response.wait())
        except Exception as error:
            errors.append((index, error))
    if errors:
        raise min(errors, key=lambda pair: pair[0])[1]
    return results
