"""A server that the test plays by hand, beside a session of the real master."""

from __future__ import annotations

import pickle
import socket
import threading
from types import SimpleNamespace
from typing import Any

from easycluster_client._calls.response import NonblockingResponse
from easycluster_client._session.session import ClientSession
from easycluster_protocol._wire import messages as m
from easycluster_protocol._wire.messages import Message
from easycluster_server._io.transport import SocketTransport
from helpers.pair import LinkPair, take_messages
from helpers.waiting import PATIENCE, wait_until


class HandMadeServer:
    """The other end of a session.

    Attributes:
        session: the session under test.
        received: the messages that it sent.
    """

    def __init__(self) -> None:
        links = LinkPair()
        ours, self.socket = socket.socketpair()
        self.socket.settimeout(PATIENCE)
        self._link = links.server
        self.received: list[Message] = []
        self.session = ClientSession(links.client, SocketTransport(ours), "the server")
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
            data = self.socket.recv(1 << 20)
            assert data
            self._link.receive_data(data)
            self.received += take_messages(self._link)
        return self.received

    def send(self, *messages: Message) -> None:
        """Send messages."""
        self.socket.sendall(b"".join(map(self._link.data_to_send, messages)))

    def answer(self, *responses: NonblockingResponse, value: Any = "value") -> None:
        """Answer calls, all at once."""
        body = pickle.dumps(value)
        self.send(*(Message(m.RESULT, response.request_id, body) for response in responses))

    def close(self) -> None:
        """End everything."""
        self.socket.close()
        self.session.close("closed by the test")


class Waiter(threading.Thread):
    """A thread that waits for an answer."""

    def __init__(self, response: NonblockingResponse) -> None:
        super().__init__()
        self.outcome: Any = None
        self._response = response
        self.start()

    def run(self) -> None:
        try:
            self.outcome = self._response.wait()
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
