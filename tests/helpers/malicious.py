"""A server that has the key and answers as it likes; and pickles that no pickler writes."""

from __future__ import annotations

import pickle
import socket
import struct
import threading
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any

from typing_extensions import Self

from easycluster_client import Client
from easycluster_protocol._handshake.server import ServerHandshake
from easycluster_protocol._wire import messages as m
from easycluster_protocol._wire.link import SERVER, Link
from easycluster_protocol._wire.messages import Message
from easycluster_server._io.handshake import shake_hands
from easycluster_server._io.transport import SocketTransport

KEY = bytes(range(32))

#: Sends the answers to a call.
Answer = Callable[["MaliciousServer", Message], None]


class MaliciousServer:
    """Listens on 127.0.0.1 and serves one client after the other, in a thread.

    Args:
        answer: is called with each call of the script; it sends whatever it likes.
        compress: whether it compresses what it sends.

    Attributes:
        port: its port.
        socket, link: the connection.
    """

    socket: socket.socket
    link: Link

    def __init__(self, answer: Answer, compress: bool = False) -> None:
        self._answer = answer
        self._compress = compress
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, cls: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._listening.close()

    def _serve(self) -> None:
        try:
            self.socket, _ = self._listening.accept()
            handshake = ServerHandshake(KEY, b"session", compress=int(self._compress))
            self.link = shake_hands(handshake, SocketTransport(self.socket), SERVER)
            while True:
                received: list[Message] = []
                self.link.receiver.deliver(received.append)
                for message in received:
                    self._receive(message)
                data = self.socket.recv(1 << 16)
                if not data:
                    break
                self.link.receive_data(data)
        except OSError:  # the client has gone, or ended the connection because of what it got
            pass
        finally:
            self.socket.close()

    def _receive(self, message: Message) -> None:
        if message.kind not in {m.CALL, m.INVOKE}:
            return
        values = pickle.loads(message.body)
        if message.kind == m.CALL and values[0] == "fine":
            self.send(Message(m.RESULT, message.request, pickle.dumps("fine", 4)))
        elif message.kind == m.INVOKE and values[1] in {"define", "use_definitions"}:
            self.send(Message(m.RESULT, message.request, pickle.dumps(None, 4)))
        else:
            self._answer(self, message)

    def send(self, *messages: Message) -> None:
        """Send messages."""
        for message in messages:
            self.socket.sendall(self.link.data_to_send(message))


def connect_guarded(server: MaliciousServer, **options: Any) -> Client:
    """Return a client that trusts a server with its results only."""
    return Client(KEY, "127.0.0.1", server.port, trust="results", **options)


def result(body: bytes, *references: int, buffers: Iterable[bytes] = ()) -> Answer:
    """Return the answer with this pickle."""

    def answer(server: MaliciousServer, call: Message) -> None:
        server.send(Message(m.RESULT, call.request, body, buffers=list(buffers), references=list(references)))

    return answer


def failure(chain: Any) -> Answer:
    """Return the answer that an exception is raised."""

    def answer(server: MaliciousServer, call: Message) -> None:
        server.send(Message(m.FAILURE, call.request, pickle.dumps(chain, 4)))

    return answer


class Raw(bytes):
    """Opcodes that stand for a value."""


def put(value: Any) -> bytes:
    """Return the opcodes of a value."""
    if isinstance(value, Raw):
        return value
    if isinstance(value, tuple):
        return b"(" + b"".join(map(put, value)) + b"t"
    if isinstance(value, list):
        return b"](" + b"".join(map(put, value)) + b"e"
    if isinstance(value, dict):
        return b"}(" + b"".join(put(key) + put(item) for key, item in value.items()) + b"u"
    if isinstance(value, str):
        data = value.encode("utf-8", "surrogatepass")
        return b"X" + struct.pack("<I", len(data)) + data
    return pickle.dumps(value, 3)[2:-1].replace(b"q\0", b"")


def name(module: str, qualname: str) -> Raw:
    """Return the opcodes of a name."""
    return Raw(put(module) + put(qualname) + b"\x93")


def called(function: Raw, *args: Any) -> Raw:
    """Return the opcodes of a call."""
    return Raw(function + put(args) + b"R")


def built(target: bytes, state: Any) -> Raw:
    """Return the opcodes of an object with a state."""
    return Raw(target + put(state) + b"b")


def pickled(value: Any) -> bytes:
    """Return a pickle."""
    return b"\x80\x04" + put(value) + b"."


def link_of(**values: Any) -> dict[str, Any]:
    """Return the description of an exception."""
    return {
        "type": "ValueError",
        "module": "builtins",
        "message": "text",
        "bases": ["ValueError", "Exception"],
        "pickled": None,
        "reason": None,
        "attributes": {},
        "relation": "context",
        "suppress": False,
        "text": ["Traceback\n"],
        **values,
    }
