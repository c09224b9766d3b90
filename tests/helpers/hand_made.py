"""A server that the test plays by hand, beside a session of the real master."""

from __future__ import annotations

import pickle
import socket
import threading
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from easycluster_client._calls.response import NonblockingResponse
from easycluster_client._session.pending import PendingCall
from easycluster_client._session.session import ClientSession
from easycluster_protocol._types import Value
from easycluster_protocol._wire import messages as m
from easycluster_protocol._wire.link import Link
from easycluster_protocol._wire.messages import Message
from easycluster_server._io.transport import SocketTransport
from helpers.pair import LinkPair, take_messages
from helpers.waiting import PATIENCE, wait_until


class HandMadeServer:
    """The other end of a session.

    Args:
        session_class: makes the session of its link, transport and peername.
        early: messages that the server has sent together with the end of the handshake.

    Attributes:
        session: the session under test.
        received: the messages that it sent.
        sender: makes the frames that this server sends.
    """

    def __init__(
        self,
        session_class: Callable[[Link, SocketTransport, str], ClientSession] = ClientSession,
        early: Sequence[Message] = (),
    ) -> None:
        links = LinkPair()
        ours, self.socket = socket.socketpair()
        self.socket.settimeout(PATIENCE)
        self._link = links.server
        self.sender = self._link.sender
        self.received: list[Message] = []
        for message in early:
            links.client.receive_data(self._link.data_to_send(message))
        self.session = session_class(links.client, SocketTransport(ours), "the server")
        self._client: Any = SimpleNamespace(peername="the server", _easycluster_calls=self)

    reads_by_itself = True

    def run_completions(self, session: ClientSession) -> int:
        """Stands for that of a client; this one puts them off for ever."""
        return -1 if session.arrived else 0

    def request(self, body: Any = b"", **options: Any) -> NonblockingResponse:
        """Make a call; return its response."""
        response = NonblockingResponse(self._client, "f", self.session, options)
        self.session.request(response, m.CALL, body, (), 0)
        return response

    def receive(self, count: int) -> list[Message]:
        """Receive until so many messages have come."""
        while len(self.received) < count:
            self.receive_some()
        return self.received

    def receive_some(self) -> None:
        """Receive once: perhaps a part of a message, perhaps several."""
        data = self.socket.recv(1 << 20)
        assert data
        self._link.receive_data(data)
        self.received += take_messages(self._link)

    def send(self, *messages: Message) -> None:
        """Send messages."""
        self.socket.sendall(b"".join(map(self._link.data_to_send, messages)))

    def answer(self, *responses: NonblockingResponse, value: Any = "value") -> None:
        """Answer calls, all at once."""
        body = pickle.dumps(value)
        self.send(*(Message(m.RESULT, response.request_id, body) for response in responses))

    def close_session(self, text: str) -> None:
        """Close the session, and wait for nothing: this server has no more to say."""
        self.socket.shutdown(socket.SHUT_WR)
        self.session.close(text)

    def close(self) -> None:
        """End everything."""
        self.socket.close()
        self.session.close("closed by the test")


class Waiter(threading.Thread):
    """A thread that waits for an answer.

    Attributes:
        response: the response of the call.
    """

    def __init__(self, response: NonblockingResponse) -> None:
        super().__init__()
        self.outcome: Any = None
        self.response = response
        self.start()

    def run(self) -> None:
        try:
            self.outcome = self.response.wait()
        except Exception as error:
            self.outcome = error

    def result(self) -> Any:
        """Wait for its end; return what came of it."""
        self.join(PATIENCE)
        assert not self.is_alive()
        return self.outcome


def start_reader(server: HandMadeServer) -> Waiter:
    """A thread that leads: it reads, and for the others too."""
    waiter = Waiter(server.request())
    wait_until(server.session.turn.reading.locked)
    return waiter


def send_call(server: HandMadeServer, call: PendingCall | None = None, body: Value = b"") -> PendingCall:
    """Send a call that no script holds; return it."""
    found = PendingCall() if call is None else call
    server.session.request(found, m.CALL, body, (), 0)
    return found


def drop_proxies(server: HandMadeServer, *oids: int) -> None:
    """Drop proxies of these server objects, with one receipt each."""
    for oid in oids:
        server.session.references.drop([oid])


def note_receptions(server: HandMadeServer, patch: pytest.MonkeyPatch) -> list[bool]:
    """Return a list to which each reception of the session adds whether it waits until something comes."""
    noted: list[bool] = []
    receive = server.session._channel.receive

    def note(deliver: Any, block: bool) -> bool:
        noted.append(block)
        return receive(deliver, block)

    patch.setattr(server.session._channel, "receive", note)
    return noted


def raise_timeout(*arguments: Any) -> None:
    """Stand for a step in the middle of which a signal handler raises the error that many raise."""
    raise TimeoutError("too late")
