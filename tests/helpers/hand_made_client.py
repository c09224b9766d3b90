"""A client whose calls are real, and whose server the test plays by hand."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

from easycluster_client._calls.maker import CallMaker
from easycluster_client._calls.owner import Owner
from easycluster_client._calls.response import NonblockingResponse
from easycluster_protocol._definitions import modules
from easycluster_protocol._types import Value
from easycluster_protocol._values.failures import pack_exception
from easycluster_protocol._wire import messages as m
from easycluster_protocol._wire.messages import Message
from easycluster_protocol.errors import RemoteException
from helpers.hand_made import HandMadeServer


class HandMadeClient:
    """The owner of calls.

    Args:
        server: the other end; None: the client is not connected.
        definitions: the module of definitions in which the server looks names up first.
        new_maker: makes the maker of its calls.

    Attributes:
        calls: makes its calls.
        reported: the exceptions of remote code that were to be printed.
        reads: how it was told to read.
    """

    peername = "the server"

    def __init__(
        self,
        server: HandMadeServer | None,
        definitions: str = modules.DEFAULT_NAME,
        new_maker: Callable[[Owner, str], CallMaker] = CallMaker,
    ) -> None:
        self._server = server
        self.calls = self._easycluster_calls = new_maker(self, definitions)
        if server is not None:
            self.calls.open(server.session)
        self.reported: list[RemoteException] = []
        self.reads: list[bool] = []

    @property
    def server(self) -> HandMadeServer:
        """The other end."""
        assert self._server is not None
        return self._server

    def raw_call(self, name: str, args: Any, kwargs: Any = None, **options: Any) -> Any:
        """Call a function whose keyword arguments may have any names."""
        return self.calls.raw_call(name, args, kwargs or {}, options)

    def read_response(self, block: bool = True) -> bool:
        """Note how it is to read."""
        self.reads.append(block)
        return True

    def report_exception(self, exc: RemoteException) -> None:
        """Note an exception that is to be printed."""
        self.reported.append(exc)

    def request(self, **options: Any) -> NonblockingResponse:
        """Make a call; return its response."""
        response = NonblockingResponse(self, "f", self.server.session, options)
        self.server.session.request(response, m.CALL, b"", (), 0)
        return response

    def answer(self, number: int, value: Value) -> None:
        """Let the server answer the call of this number, which may be the next one, by a value."""
        self.server.send(value_message(value, number))

    def fail(self, number: int, error: BaseException) -> None:
        """Let the server answer the call of this number, which may be the next one, by an error."""
        self.server.send(failure_message(error, number))

    def sent(self, count: int) -> list[tuple[int, Value]]:
        """Return the first calls that were made: the server thread of each, and its values."""
        return [(each.thread, pickle.loads(each.body)) for each in self.server.receive(count)[:count]]

    def answered(self, answer: Message, **options: Any) -> NonblockingResponse:
        """Make a call, and let this be its answer; return its response."""
        response = self.request(**options)
        answer.request = response.request_id
        self.server.send(answer)
        self.server.session.receive_available()
        return response


def value_message(value: Any, request: int = 0) -> Message:
    """An answer with this value."""
    return Message(m.RESULT, request, pickle.dumps(value, 5))


def failure_message(error: BaseException, request: int = 0) -> Message:
    """An answer with this error."""
    return Message(m.FAILURE, request, pack_exception(error, 5))


class Trap:
    """A value whose unpickling calls something.

    Args:
        function: what is called.
        args: its arguments.
    """

    def __init__(self, function: Any, *args: Any) -> None:
        self._reduced = function, args

    def __reduce__(self) -> Any:
        return self._reduced


def raise_it(error: BaseException) -> None:
    """Raise an error."""
    raise error
