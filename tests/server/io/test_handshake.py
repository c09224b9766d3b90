from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from easycluster_protocol._handshake.client import ClientHandshake
from easycluster_protocol._handshake.server import ServerHandshake
from easycluster_protocol._wire import messages as m
from easycluster_protocol._wire.link import CLIENT, SERVER, Link
from easycluster_protocol._wire.messages import Message
from easycluster_protocol.errors import AuthenticationError, ConnectError, RemoteProtocolError
from easycluster_server._io.handshake import shake_hands
from easycluster_server._io.transport import SocketTransport
from helpers.pair import KEY, OTHER_KEY, take_messages


@pytest.fixture
def transports() -> Iterator[tuple[SocketTransport, SocketTransport]]:
    """Two that are connected."""
    ours, theirs = map(SocketTransport, socket.socketpair())
    yield ours, theirs
    ours.close()
    theirs.close()


def shake_both(transports: Any, client: ClientHandshake, server: ServerHandshake) -> list[Any]:
    """Run both ends; return for each the link, or the error."""

    def run(index: int, handshake: Any, role: str) -> None:
        try:
            outcomes[index] = shake_hands(handshake, transports[index], role)
        except OSError as error:
            outcomes[index] = error
            transports[index].shutdown()

    outcomes: list[Any] = [None, None]
    thread = threading.Thread(target=run, args=(0, client, CLIENT))
    thread.start()
    run(1, server, SERVER)
    thread.join()
    return outcomes


@pytest.mark.parametrize("key", [None, KEY])
def test_handshake(transports: Any, key: bytes | None) -> None:
    """Both ends come to links that understand each other."""
    client, server = shake_both(transports, ClientHandshake(key), ServerHandshake(key))
    server.receive_data(client.data_to_send(Message(m.PING, 5)))

    assert take_messages(server) == [Message(m.PING, 5)]


def test_wrong_key(transports: Any) -> None:
    """Ends with different keys do not come to a link."""
    outcomes = shake_both(transports, ClientHandshake(KEY), ServerHandshake(OTHER_KEY))

    assert isinstance(outcomes[1], AuthenticationError)
    assert isinstance(outcomes[0], ConnectError)


def test_peer_that_leaves(transports: Any) -> None:
    """A peer that leaves is an error that says so."""
    transports[0].close()
    with pytest.raises(ConnectError, match="the peer closed the connection during the handshake"):
        shake_hands(ServerHandshake(None), transports[1], SERVER)


def test_stranger(transports: Any) -> None:
    """What is no handshake of ours is named."""
    transports[0].socket.sendall(b"GET / HTTP/1.1\r\n\r\n")
    with pytest.raises(RemoteProtocolError, match="HTTP"):
        shake_hands(ServerHandshake(None), transports[1], SERVER)


def test_bytes_after_the_handshake(transports: Any) -> None:
    """What came together with the end of the handshake is not lost."""
    client = ClientHandshake(None)
    server = ServerHandshake(None)
    server.receive_data(client.data_to_send())
    client.receive_data(server.data_to_send())
    assert client.agreement is not None
    assert server.agreement is not None
    early = Link(CLIENT, client.agreement).data_to_send(Message(m.PING, 1))

    assert take_messages(Link(SERVER, server.agreement, early)) == [Message(m.PING, 1)]
    assert take_messages(Link(SERVER, server.agreement, b"")) == []


def test_refusal_before_the_first_word(transports: Any) -> None:
    """A server that refuses and leaves before the client has said anything is heard nevertheless."""
    ours, theirs = transports
    server = ServerHandshake(None)
    server.refuse("process", "no room")
    theirs.send([], [server.data_to_send()], True)
    theirs.close()
    with pytest.raises(ConnectError, match="refused the connection: no room"):
        shake_hands(ClientHandshake(None), ours, CLIENT)


def test_end_before_the_first_word(transports: Any) -> None:
    """A server that leaves without a word is an error that says so."""
    ours, theirs = transports
    theirs.close()
    with pytest.raises(ConnectError, match="closed the connection during the handshake"):
        shake_hands(ClientHandshake(None), ours, CLIENT)
