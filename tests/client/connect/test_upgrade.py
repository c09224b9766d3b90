"""Sending the code to a server of another version, and waiting until it runs."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from easycluster_client._connect.upgrade import send_code
from easycluster_client._deadlines import Deadline
from easycluster_protocol._handshake.hello import REFUSE, Agreement, Hello
from easycluster_protocol._handshake.upgrade import HEAD_BYTES, read_length, unpack_code
from easycluster_protocol._wire import messages as m
from easycluster_protocol._wire.link import CLIENT, SERVER, Link
from easycluster_protocol._wire.messages import Message
from easycluster_protocol.errors import ConnectError
from easycluster_server._io.transport import SocketTransport
from helpers.handshakes import packet
from helpers.waiting import PATIENCE

CODE_KEY = bytes(32)

Send = Callable[[Callable[[socket.socket, bytes], None]], Link]


def receive(connection: socket.socket, size: int) -> bytes:
    """Receive so many bytes."""
    data = b""
    while len(data) < size:
        data += connection.recv(size - len(data))
    return data


@pytest.fixture
def send() -> Iterator[Send]:
    """Sends the code to a server; an ``answer`` has its connection, and the marker that the code would write."""
    threads: list[threading.Thread] = []
    ours, theirs = socket.socketpair()

    def send(answer: Callable[[socket.socket, bytes], None]) -> Link:
        def serve() -> None:
            with theirs:
                head = receive(theirs, HEAD_BYTES)
                line, bundle = unpack_code(CODE_KEY, head, receive(theirs, read_length(head)))
                assert "import" in line
                import zlib

                session = bundle[bundle.rindex(b"EasyCluster1 ") :].partition(b"\n")[2]
                marker, entry, _ = zlib.decompress(session).split(b"\n")
                assert entry == b"easycluster_server._processes.resumed:main"
                answer(theirs, marker)

        threads.append(threading.Thread(target=serve))
        threads[0].start()
        link = Link(CLIENT, Agreement(Hello(), 5, False))
        send_code(link, CODE_KEY, SocketTransport(ours), Deadline(PATIENCE))
        return link

    yield send
    ours.close()
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()


def test_the_code_is_sent(send: Send) -> None:
    """It is the bundle with all modules, which begins with its marker; what comes behind that belongs to the link."""
    pong = Link(SERVER, Agreement(Hello(), 5, False)).data_to_send(Message(m.PONG, 7))
    link = send(lambda connection, marker: connection.sendall(b"noise" + marker + b"\n" + pong))

    assert link.receiver.next_message() == Message(m.PONG, 7)


def test_a_refusal_is_raised(send: Send) -> None:
    """The server says why it does not take the code."""
    refusal = packet(REFUSE, Hello(code="upgrade", text="no room"))
    with pytest.raises(ConnectError, match="refused the code of EasyCluster .*: no room"):
        send(lambda connection, marker: connection.sendall(refusal))


def test_a_server_that_cannot_start_it(send: Send) -> None:
    """A server that closes the connection instead has said why in its log."""
    with pytest.raises(ConnectError, match="did not start it: its log says why"):
        send(lambda connection, marker: None)
