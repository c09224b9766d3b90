"""The client's end of a connection whose other end is under test in the same process."""

from __future__ import annotations

import pickle
import socket
from types import TracebackType
from typing import Any

from easycluster_protocol._constants import SINGLE_THREAD
from easycluster_protocol._values.serialize import dumps
from easycluster_protocol._wire import messages as m
from easycluster_protocol._wire.messages import Message
from easycluster_server._io.transport import SocketTransport
from helpers.pair import MODES, LinkPair, Mode, take_messages
from helpers.waiting import PATIENCE

SINGLE = SINGLE_THREAD


class Peer:
    """Speaks to a server session by hand.

    Args:
        mode: one of `MODES`.

    Attributes:
        link, transport: what the session under test is made with.
        received: all messages that came.
    """

    def __init__(self, mode: Mode = MODES["private"]) -> None:
        pair = LinkPair(mode)
        self.link = pair.server
        self.socket, theirs = socket.socketpair()
        self.socket.settimeout(PATIENCE)
        self.transport = SocketTransport(theirs)
        self.received: list[Message] = []
        self._link = pair.client

    def send(self, *messages: Message) -> None:
        """Send messages, all at once."""
        self.socket.sendall(b"".join(map(self._link.data_to_send, messages)))

    def send_with(self, rest: bytes, *messages: Message) -> None:
        """Send messages, and bytes behind them, all at once."""
        self.socket.sendall(b"".join(map(self._link.data_to_send, messages)) + rest)

    def call(self, number: int, name: str, *arguments: Any, thread: int = 0) -> Message:
        """Return the request for a call."""
        body, buffers = dumps((name, arguments, {}), self._link.agreement.pickle_protocol)
        return Message(m.CALL, number, body, thread, buffers)

    def receive_once(self) -> bool:
        """Receive some bytes; return False at the end."""
        data = self.socket.recv(1 << 20)
        self._link.receive_data(data)
        self.received += take_messages(self._link)
        return bool(data)

    def receive_until(self, *numbers: int, kinds: tuple[int, ...] = (m.RESULT, m.FAILURE)) -> None:
        """Receive until requests of these numbers have their answers."""
        while not set(numbers) <= {each.request for each in self.received if each.kind in kinds}:
            assert self.receive_once(), f"the connection ended; received: {self.received}"

    def receive_all(self) -> None:
        """Receive until the end of the connection."""
        while self.receive_once():
            pass

    def answers(self, number: int) -> list[Message]:
        """The answers that came to a request."""
        return [
            each for each in self.received if each.request == number and each.kind in (m.RESULT, m.FAILURE)
        ]

    def value(self, number: int) -> Any:
        """The value that a call returned."""
        (answer,) = self.answers(number)
        assert answer.kind == m.RESULT, answer
        return pickle.loads(answer.body, buffers=answer.buffers)

    def failure(self, number: int) -> dict[str, Any]:
        """What is said of the exception of a call."""
        (answer,) = self.answers(number)
        assert answer.kind == m.FAILURE, answer
        described: dict[str, Any] = pickle.loads(answer.body)[0]
        return described

    def close(self) -> None:
        """Close the socket."""
        self.socket.close()

    def __enter__(self) -> Peer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
        self.transport.close()
