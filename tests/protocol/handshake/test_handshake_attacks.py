"""Attacks without the key: between the two ends, or in the place of one of them."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from easycluster_protocol._handshake.client import ClientHandshake
from easycluster_protocol._handshake.handshake import Handshake
from easycluster_protocol._handshake.hello import CHALLENGE, FIELDS, WELCOME, Hello
from easycluster_protocol._handshake.hello_parser import parse_hello
from easycluster_protocol._handshake.secrets import derive_key_id
from easycluster_protocol._handshake.server import ServerHandshake
from easycluster_protocol._wire.link import CLIENT, SERVER, Link
from easycluster_protocol._wire.messages import PING, Message
from easycluster_protocol.errors import AuthenticationError, ConnectError, ProtocolError, RemoteProtocolError
from helpers.pair import KEY, SESSION_NAME, Carrier, Packet, Tamper, untouched

PACKETS = ("HELLO", "CHALLENGE", "PROOF", "WELCOME")
CLIENT_NONCE, SERVER_NONCE = b"c" * 32, b"s" * 32

#: Another value for each form of field.
OTHER: dict[str, Callable[[Any], Any]] = {
    "text": lambda value: value + "x",
    "number": lambda value: value + 1,
    "bytes": lambda value: value[::-1] + b"x",
}


def new_client(nonce: bytes = CLIENT_NONCE) -> ClientHandshake:
    """A client whose packets are the same each time."""
    return ClientHandshake(KEY, nonce=nonce)


def new_server(nonce: bytes = SERVER_NONCE) -> ServerHandshake:
    """A server whose packets are the same each time."""
    return ServerHandshake(KEY, SESSION_NAME, nonce=nonce)


def record() -> list[Packet]:
    """The four packets of an undisturbed handshake."""
    carrier = Carrier(new_client(), new_server())
    carrier.run()
    return carrier.packets


def attack(tamper: Tamper) -> tuple[ClientHandshake, ServerHandshake]:
    """Run a handshake with somebody between the ends; errors are what they must be, or none."""
    client, server = new_client(), new_server()
    try:
        Carrier(client, server, tamper).run()
    except (ConnectError, ProtocolError):
        pass
    return client, server


def on(number: int, change: Callable[[bytes], bytes]) -> Tamper:
    """Change the packet of this number, and let the others pass."""
    seen: Iterator[int] = iter(range(100))
    return lambda packet: change(packet.data) if next(seen) == number else packet.data


def flip(data: bytes, bit: int) -> bytes:
    """Flip one bit."""
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def rewrite(data: bytes, name: str) -> bytes:
    """Give one field of a packet another value, and the packet a length that fits."""
    hello = parse_hello(data[8:])
    (form,) = (form for field, form, _ in FIELDS.values() if field == name)
    changed = Hello(**{field: getattr(hello, field) for field in hello.given})
    setattr(changed, name, OTHER[form](getattr(hello, name)))
    changed.given.add(name)
    payload = changed.encode()
    return data[:6] + struct.pack(">H", len(payload)) + payload


def test_nobody_in_between() -> None:
    """The tools of these tests harm nothing: an untouched handshake opens a session at both ends."""
    client, server = attack(untouched)

    assert client.agreement is not None
    assert server.agreement is not None


# Changing.


@pytest.mark.parametrize("number", range(4), ids=PACKETS)
def test_every_flipped_bit_is_noticed(number: int) -> None:
    """With any one bit of any packet flipped, the client opens no session, and the server none before its
    last word."""
    for bit in range(8 * len(record()[number].data)):
        client, server = attack(on(number, lambda data, bit=bit: flip(data, bit)))  # type: ignore[misc]  # bit=bit

        assert client.agreement is None, bit
        assert (server.agreement is None) is (number < 3), bit


@pytest.mark.parametrize("name", [name for name, _, _ in FIELDS.values()])
@pytest.mark.parametrize("number", [0, 1], ids=PACKETS[:2])
def test_every_field_is_protected(number: int, name: str) -> None:
    """Changing or adding a field of HELLO or CHALLENGE (the versions, the wish for TLS, compression,
    an offer) ends the handshake at both ends, so nothing can be bargained down."""
    client, server = attack(on(number, lambda data: rewrite(data, name)))

    assert client.agreement is None
    assert server.agreement is None


@pytest.mark.parametrize("number", [0, 1], ids=PACKETS[:2])
def test_unknown_fields_are_protected(number: int) -> None:
    """A field that only a later version knows cannot be added unnoticed either."""

    def add(data: bytes) -> bytes:
        return data[:6] + struct.pack(">H", len(data) - 8 + 4) + data[8:] + b"\xfe\x00\x01x"

    client, server = attack(on(number, add))

    assert client.agreement is None
    assert server.agreement is None


def test_the_name_of_the_session_is_protected() -> None:
    """The client takes no name for its session but the server's."""
    client, _ = attack(on(3, lambda data: rewrite(data, "session")))

    assert client.agreement is None


def test_what_is_added_to_welcome_is_not_believed() -> None:
    """WELCOME proves its proof and the name; whatever else stands there changes nothing."""
    client, _ = attack(on(3, lambda data: rewrite(data, "compress")))

    assert client.agreement is not None
    assert client.agreement.compress is False


# Leaving out, repeating, exchanging.


@pytest.mark.parametrize("number", range(4), ids=PACKETS)
def test_lost_packets(number: int) -> None:
    """When a packet is lost, the ends wait; neither goes on without it."""
    client, server = attack(on(number, lambda data: b""))

    assert client.agreement is None
    assert (server.agreement is None) is (number < 3)


@pytest.mark.parametrize("number", range(4), ids=PACKETS)
def test_repeated_packets(number: int) -> None:
    """A packet that comes twice ends the connection, at the latest as the first thing after the handshake."""
    client, server = attack(on(number, lambda data: data + data))

    receiver, role = (server, SERVER) if number % 2 == 0 else (client, CLIENT)
    assert (receiver.agreement is not None) is (number >= 2)
    if receiver.agreement is not None:
        link = Link(role, receiver.agreement)
        link.receive_data(receiver.leftover)
        with pytest.raises(RemoteProtocolError, match="not a frame: b.EZCL"):
            link.receiver.next_message()


@pytest.mark.parametrize("number", range(4), ids=PACKETS)
@pytest.mark.parametrize("other", range(4), ids=PACKETS)
def test_exchanged_packets(number: int, other: int) -> None:
    """No packet of a recorded handshake of other ends takes the place of a packet of this one."""
    carrier = Carrier(new_client(b"x" * 32), new_server(b"y" * 32))
    carrier.run()

    client, server = attack(on(number, lambda data: carrier.packets[other].data))

    assert client.agreement is None
    assert (server.agreement is None) is (number < 3)


@pytest.mark.parametrize("number", range(4), ids=PACKETS)
def test_truncation(number: int) -> None:
    """A handshake that is cut off after any byte is reported as that, and opens no session there."""
    data = record()[number].data
    for size in range(len(data)):
        client, server = attack(on(number, lambda data, size=size: data[:size]))  # type: ignore[misc]  # size=size
        receiver = server if number % 2 == 0 else client

        assert receiver.agreement is None
        with pytest.raises(ConnectError, match="closed the connection during the handshake"):
            receiver.receive_eof()


# Replaying and reflecting.


def test_replay_to_another_server() -> None:
    """Everything that a client once said opens no session at a second server, which made a nonce of its own."""
    recorded = b"".join(data for sender, data in record() if sender == CLIENT)
    server = new_server(b"t" * 32)

    with pytest.raises(AuthenticationError):
        server.receive_data(recorded + b"and the frames of then")

    assert server.agreement is None


def test_replay_to_another_client() -> None:
    """Everything that a server once said opens no session at a second client."""
    recorded = b"".join(data for sender, data in record() if sender == SERVER)
    client = new_client(b"d" * 32)

    with pytest.raises(AuthenticationError, match="the server does not hold the same key"):
        client.receive_data(recorded)

    assert client.agreement is None


def test_nonces_are_random() -> None:
    """Left to themselves, ends never use a nonce twice, which is what makes replaying vain."""
    nonces = set()
    for _ in range(50):
        client, server = ClientHandshake(KEY), ServerHandshake(KEY)
        Carrier(client, server).run()
        assert client.peer is not None
        assert server.peer is not None
        nonces |= {client.peer.nonce, server.peer.nonce}

    assert len(nonces) == 100


def test_replayed_frames() -> None:
    """The frames of one session are nothing to another session with the same key."""
    links = []
    for nonce in (b"s" * 32, b"t" * 32):
        client, server = new_client(), new_server(nonce)
        Carrier(client, server).run()
        assert client.agreement is not None
        assert server.agreement is not None
        links.append((Link(CLIENT, client.agreement), Link(SERVER, server.agreement)))
    (first, _), (_, second) = links

    second.receive_data(first.data_to_send(Message(PING)))

    with pytest.raises(RemoteProtocolError, match="frame 0 was not sent by the holder of the key"):
        second.receiver.next_message()


@pytest.mark.parametrize("make", [new_client, new_server])
def test_reflection(make: Callable[[], Handshake]) -> None:
    """An end that hears its own bytes refuses them."""
    end = make()
    if isinstance(end, ServerHandshake):
        end.receive_data(new_client().data_to_send())

    with pytest.raises(RemoteProtocolError):
        end.receive_data(end.data_to_send())

    assert end.agreement is None


def test_reflected_nonce() -> None:
    """A server that only repeats what the client said is told from one that has a nonce of its own."""
    client = new_client()
    reflected = bytearray(client.data_to_send())
    reflected[4] = CHALLENGE

    with pytest.raises(RemoteProtocolError, match="not fresh"):
        client.receive_data(bytes(reflected))


def test_reflected_proof() -> None:
    """The client's own proof is no proof of the server's."""
    client, server = new_client(), new_server()
    server.receive_data(client.data_to_send())
    client.receive_data(server.data_to_send())
    reflected = bytearray(client.data_to_send())
    reflected[4] = WELCOME

    with pytest.raises(AuthenticationError, match="the server does not hold the same key"):
        client.receive_data(bytes(reflected))


def test_server_without_the_key() -> None:
    """A peer that answers in the server's place without its key gets a proof, and no session."""
    client = new_client()
    impostor = Hello(nonce=SERVER_NONCE)

    client.receive_data(b"EZCL\x02\x00" + struct.pack(">H", len(impostor.encode())) + impostor.encode())
    answer = Hello(proof=b"p" * 32, session=SESSION_NAME).encode()
    with pytest.raises(AuthenticationError, match="the server does not hold the same key"):
        client.receive_data(b"EZCL\x04\x00" + struct.pack(">H", len(answer)) + answer)


def test_a_stranger_learns_nothing() -> None:
    """Until a client has proved the key, the server says nothing that depends on the key."""
    said = []
    for key in (KEY, bytes(32)):
        server = ServerHandshake(key, SESSION_NAME, nonce=SERVER_NONCE)
        hello = Hello(nonce=CLIENT_NONCE, key_id=derive_key_id(key)).encode()
        server.receive_data(b"EZCL\x01\x00" + struct.pack(">H", len(hello)) + hello)
        said.append(server.data_to_send())

    assert said[0] == said[1]
