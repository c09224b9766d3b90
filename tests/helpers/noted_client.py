"""A client without a connection, which notes the calls that it would make."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from easycluster_client._api.client import Client
from easycluster_client._calls.keywords import NO_OPTIONS
from easycluster_client._calls.maker import CallMaker
from easycluster_client._session.session import ClientSession
from easycluster_protocol._wire import messages as m


class NotedCall(NamedTuple):
    """A call.

    Attributes:
        kind: CALL or INVOKE.
        values: the function, with its arguments.
        options: the options of the call.
    """

    kind: int
    values: tuple[Any, ...]
    options: dict[str, Any]


class NotedCalls(CallMaker):
    """Makes no calls, but notes them.

    Attributes:
        made: the calls.
        answer: what each call returns.
    """

    def __init__(self, client: Client, definitions: str) -> None:
        super().__init__(client, definitions)
        self.made: list[NotedCall] = []
        self.answer: Any = "answer"

    def make(
        self,
        kind: int,
        values: tuple[Any, ...],
        label: str,
        options: Mapping[str, Any] = NO_OPTIONS,
        session: ClientSession | None = None,
    ) -> Any:
        """Note a call."""
        self.made.append(NotedCall(kind, values, dict(options)))
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer


class NotedClient(Client):
    """A client that is not connected and notes its calls."""

    def _easycluster_new_call_maker(self, definitions: str) -> CallMaker:
        return NotedCalls(self, definitions)


def noted(client: Client) -> NotedCalls:
    """Return what notes the calls of a client."""
    calls = client._easycluster_calls
    assert isinstance(calls, NotedCalls)
    return calls


def call_of(name: Any, *args: Any, kwargs: dict[str, Any] | None = None, **options: Any) -> NotedCall:
    """Return the call of a function."""
    return NotedCall(m.CALL, (name, args, kwargs or {}), options)


def operation_of(name: str, *args: Any, **options: Any) -> NotedCall:
    """Return the call of an operation of the server itself."""
    return NotedCall(m.INVOKE, (0, name, args, {}), options)
