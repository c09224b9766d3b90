"""Both sides of the same server objects, without a connection: what is said is carried by hand over two links."""

from __future__ import annotations

import itertools
from functools import partial
from types import SimpleNamespace
from typing import Any

from easycluster_client._calls.proxy_state import ProxyState
from easycluster_client._session.references import References
from easycluster_protocol._objects.exports import ServerObject
from easycluster_protocol._values.object_pickle import dumps_result, loads_result
from easycluster_protocol._wire import messages as m
from easycluster_protocol._wire.messages import Message
from easycluster_server._objects.table import ObjectTable
from helpers.pair import MODES, LinkPair, receive


class Thing(ServerObject):
    """A server object."""


class _Maker:
    """The part of a client's maker of calls that its references need."""

    def __init__(self, session: Any) -> None:
        self.session = session
        self.client: Any = "the client"

    def renew_locks(self) -> None:
        """Nothing has locks here."""

    def new_proxy_state(self, oid: int, references: References) -> ProxyState:
        """Return the state of a new proxy."""
        calls: Any = self
        return ProxyState(calls, references, oid)

    def describe_proxy(self, proxy: Any, class_name: str) -> None:
        """Tell a proxy the class of its object."""
        proxy._easycluster_state.class_name = class_name


class Ends:
    """The client's and the server's side of the same objects; answers are carried by hand."""

    def __init__(self) -> None:
        session: Any = SimpleNamespace(peername="host:1", error=None)
        self._pair = LinkPair(MODES["private"])
        self.session = session
        self.references = References(session)
        self.references.maker = _Maker(session)
        self.table = ObjectTable()
        self._numbers = itertools.count(1)

    def answer(self, value: Any, body: bytes | None = None) -> Message:
        """Return the answer that holds a value, as it arrives at the client; with another body, a damaged one."""
        sent = self.send(value)
        (message,) = self.arrive(sent, body)
        return message

    def send(self, value: Any) -> Message:
        """Return the answer that holds a value, as it leaves the server."""
        body, buffers, named = dumps_result(value, 5, self.table)
        return Message(m.RESULT, next(self._numbers), body, 0, buffers, named)

    def arrive(self, sent: Message, body: bytes | None = None) -> list[Message]:
        """Carry an answer to the client, which takes its receipts; return it."""
        found: list[Message] = []
        for message in receive(self._pair.client, self._pair.server.data_to_send(sent)):
            if message.kind == m.REFERENCES:
                self.references.note_ahead(message)
                continue
            found.append(message)
            message.body = message.body if body is None else body
            if message.references:
                self.references.note(message)
        return found

    def rebuild(self, message: Message) -> Any:
        """Return what the client makes of an answer."""
        return self.references.load_answer(message, partial(loads_result, message.body, message.buffers))

    def loads(self, value: Any) -> Any:
        """Return what the client makes of a value."""
        return self.rebuild(self.answer(value))

    def give_back(self) -> None:
        """Let the server take what the client gives back, as messages do that a client sends."""
        while self.references.garbage:
            message = Message(m.RELEASE, releases=self.references.take_releases())
            for arrived in receive(self._pair.server, self._pair.client.data_to_send(message)):
                self.table.note_known_classes(arrived.releases)
                self.table._release(arrived.releases)
