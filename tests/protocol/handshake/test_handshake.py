"""Both ends of a handshake: agreement, order, size, and that nothing is unpickled."""

from __future__ import annotations

import os
import pickle
import struct
from typing import Any

import pytest
from hypothesis import example, given, strategies as st

from easycluster_protocol._handshake.client import ClientHandshake
from easycluster_protocol._handshake.hello import CHALLENGE, HELLO, REFUSE, WELCOME, Hello
from easycluster_protocol._handshake.secrets import derive_key_id
from easycluster_protocol._handshake.server import ServerHandshake
from easycluster_protocol._wire.link import CLIENT, SERVER
from easycluster_protocol.errors import (
    AuthenticationError,
    ConnectError,
    ProtocolError,
    RemoteProtocolError,
    VersionError,
)
from helpers.handshakes import OLD_EASYCLUSTER, ends, packet, run
from helpers.pair import FUZZ, KEY, OTHER_KEY, SESSION_NAME, SIZES, Carrier, pieces

HELLO_FIELDS: dict[str, Any] = {
    "tls": 2,
    "upgrade": "bundle 12",
    "credit": 1 << 20,
    "purpose": 1,
    "session": b"the one asked about",
    "host": "master.example",
    "capabilities": "a,b",
    "process": 4711,
}


# Handshakes that succeed.


@FUZZ
@given(st.sampled_from([None, KEY]), SIZES)
def test_both_ends_agree(key: bytes | None, sizes: list[int]) -> None:
    """In whatever pieces it arrives, a handshake opens a session that is the same at both ends."""
    client, server = ClientHandshake(key), ServerHandshake(key, SESSION_NAME)

    packets = run(client, server, sizes).packets

    ours, theirs = client.agreement, server.agreement
    assert ours is not None
    assert theirs is not None
    assert (ours.send_key, ours.receive_key) == (theirs.receive_key, theirs.send_key)
    assert (ours.pickle_protocol, ours.compress) == (theirs.pickle_protocol, theirs.compress)
    assert ours.name == theirs.name == SESSION_NAME
    assert (client.leftover, server.leftover) == (b"", b"")
    assert len(packets) == (2 if key is None else 4)


def test_private_connections_have_no_keys() -> None:
    """Over ssh and pipes, frames are not authenticated."""
    client, server = ClientHandshake(), ServerHandshake()

    run(client, server)

    assert client.agreement is not None
    assert client.agreement.send_key is client.agreement.receive_key is None


def test_keys_differ() -> None:
    """Each direction of each session has a key of its own."""
    keys = set()
    for _ in range(3):
        client, server = ClientHandshake(KEY), ServerHandshake(KEY)
        run(client, server)
        assert client.agreement is not None
        keys |= {client.agreement.send_key, client.agreement.receive_key}

    assert len(keys) == 6
    assert {len(key or b"") for key in keys} == {32}


@pytest.mark.parametrize("key", [None, KEY], ids=["private", "keyed"])
def test_all_fields_arrive(key: bytes | None) -> None:
    """Wishes, offers and names of either end arrive at the other, also those that only later versions use."""
    client = ClientHandshake(key, **HELLO_FIELDS)
    server = ServerHandshake(key, SESSION_NAME, host="server.example", tls=1, upgrade="yes", process=12)

    run(client, server)

    assert client.peer is not None
    assert server.peer is not None
    assert {name: getattr(server.peer, name) for name in HELLO_FIELDS} == HELLO_FIELDS
    assert (client.peer.host, client.peer.tls, client.peer.upgrade) == ("server.example", 1, "yes")
    assert client.peer.process == 12


@pytest.mark.parametrize("key", [None, KEY], ids=["private", "keyed"])
@pytest.mark.parametrize(
    ("client_fields", "server_fields", "agreed"),
    [
        ({}, {}, False),
        ({"compress": True}, {}, True),
        ({}, {"compress": 1}, True),
        ({"compress": True}, {"compress": 1}, True),
        ({"compress": True, "codecs": ""}, {}, False),
        ({"compress": True}, {"codecs": ""}, False),
        ({"compress": True}, {"codecs": "zstd"}, False),
        ({"compress": True, "codecs": "zstd,zlib"}, {"codecs": "zlib,lz4"}, True),
        ({"compress": True, "codecs": "zlibx"}, {}, False),
    ],
)
def test_compression(
    key: bytes | None, client_fields: dict[str, Any], server_fields: dict[str, Any], agreed: bool
) -> None:
    """A connection is compressed, at both ends alike, when one end wishes it and both can read zlib."""
    client, server = ClientHandshake(key, **client_fields), ServerHandshake(key, **server_fields)

    run(client, server)

    assert client.agreement is not None
    assert server.agreement is not None
    assert client.agreement.compress is server.agreement.compress is agreed


@pytest.mark.parametrize(("ours", "theirs", "agreed"), [(4, 5, 4), (5, 4, 4), (5, 5, 5), (3, 99, 3)])
def test_pickle_protocol(ours: int, theirs: int, agreed: int) -> None:
    """The pickle protocol is the highest that both ends know."""
    client, server = ClientHandshake(pickle_protocol=ours), ServerHandshake(pickle_protocol=theirs)

    run(client, server)

    assert client.agreement is not None
    assert server.agreement is not None
    assert client.agreement.pickle_protocol == server.agreement.pickle_protocol == agreed


def test_bytes_after_the_handshake_are_kept() -> None:
    """Frames that come with the last packet are handed on."""
    client, server = ClientHandshake(KEY), ServerHandshake(KEY)
    server.receive_data(client.data_to_send())
    client.receive_data(server.data_to_send())
    server.receive_data(client.data_to_send() + b"first frames")
    client.receive_data(server.data_to_send() + b"others")
    client.receive_data(b" and more")

    assert server.leftover == b"first frames"
    assert client.leftover == b"others and more"


@pytest.mark.parametrize("key", [None, KEY], ids=["private", "keyed"])
def test_repr_of_an_agreement(key: bytes | None) -> None:
    """The repr of an agreement says what was agreed, and shows neither keys nor nonces."""
    client, server = ClientHandshake(key), ServerHandshake(key)
    run(client, server)
    assert client.agreement is not None

    text = repr(client.agreement)

    assert text.startswith(
        f"<Agreement: {'private' if key is None else 'keyed'}, pickle protocol 5, peer Hello("
    )
    for secret in (client.agreement.send_key, client.agreement.receive_key, server.own.nonce):
        assert not secret or repr(secret) not in text


# Keys that do not fit.


def test_wrong_key() -> None:
    """With another key nobody connects, and both ends are told that it is the key."""
    client, server = ClientHandshake(OTHER_KEY), ServerHandshake(KEY)
    carrier = Carrier(client, server)

    with pytest.raises(AuthenticationError, match="the key is not the one of this server"):
        carrier.run()

    with pytest.raises(AuthenticationError, match="the server refused the connection: the key is not"):
        client.receive_data(carrier.packets[-1].data)
    assert client.agreement is server.agreement is None


def test_client_without_a_key() -> None:
    """A client without a key is refused by a server that has one, for that reason."""
    client, server = ClientHandshake(), ServerHandshake(KEY)
    carrier = Carrier(client, server)

    with pytest.raises(AuthenticationError):
        carrier.run()

    with pytest.raises(AuthenticationError, match="the server refused the connection: the key"):
        client.receive_data(carrier.packets[-1].data)


@pytest.mark.parametrize("nonce", [b"", b"n" * 31, b"n" * 33])
def test_nonces_have_one_size(nonce: bytes) -> None:
    """A nonce of another size is refused by either end."""
    server = ServerHandshake(KEY)
    with pytest.raises(AuthenticationError):
        server.receive_data(packet(HELLO, Hello(nonce=nonce, key_id=derive_key_id(KEY))))

    client = ClientHandshake(KEY)
    with pytest.raises(RemoteProtocolError, match="not fresh"):
        client.receive_data(packet(CHALLENGE, Hello(nonce=nonce)))


# Versions.


@pytest.mark.parametrize("key", [None, KEY], ids=["private", "keyed"])
@pytest.mark.parametrize(("low", "high"), [(2, 3), (0, 0)])
def test_versions_without_overlap(key: bytes | None, low: int, high: int) -> None:
    """Ends that speak no common version part with an error, at both ends, that names both and what to do."""
    client = ClientHandshake(key, protocol_low=low, protocol_high=high, version="7.8.9")
    server = ServerHandshake(key)
    carrier = Carrier(client, server)

    with pytest.raises(VersionError, match=rf"7\.8\.9 there {low} to {high}: install the same version"):
        carrier.run()

    with pytest.raises(VersionError, match=r"the server refused the connection: .*7\.8\.9"):
        client.receive_data(carrier.packets[-1].data)


@pytest.mark.parametrize(("low", "high"), [(0, 1), (1, 9), (0, 9)])
def test_versions_that_overlap(low: int, high: int) -> None:
    """One common version is enough."""
    client, server = ClientHandshake(KEY, protocol_low=low, protocol_high=high), ServerHandshake(KEY)

    run(client, server)

    assert client.agreement is not None


# The end of the stream.


def test_end_during_the_handshake() -> None:
    """A peer that leaves during the handshake is reported, and nothing can be done afterwards."""
    client = ClientHandshake()

    with pytest.raises(ConnectError, match="closed the connection during the handshake"):
        client.receive_eof()

    with pytest.raises(RemoteProtocolError, match="in state 'failed'"):
        client.receive_data(packet(WELCOME))


# Order and size.


@pytest.mark.parametrize("key", [None, KEY], ids=["private", "keyed"])
@pytest.mark.parametrize("kind", range(8))
@pytest.mark.parametrize("role", [CLIENT, SERVER])
def test_first_packets(key: bytes | None, kind: int, role: str) -> None:
    """Of all packets that may come first, an end takes those in its table and refuses the rest."""
    end = ClientHandshake(key) if role == CLIENT else ServerHandshake(key)
    known: Any = {
        (CLIENT, None): {WELCOME: None, REFUSE: ConnectError},
        (CLIENT, KEY): {CHALLENGE: RemoteProtocolError, REFUSE: ConnectError},
        (SERVER, None): {HELLO: None},
        (SERVER, KEY): {HELLO: AuthenticationError},
    }[role, key]
    error = known.get(kind, RemoteProtocolError)
    if error is None:
        end.receive_data(packet(kind))
        assert end.agreement is not None
        return

    with pytest.raises(error):
        end.receive_data(packet(kind))
    assert end.agreement is None


def test_reserved_byte() -> None:
    """A packet whose zero is none is refused at once."""
    with pytest.raises(RemoteProtocolError, match="too large or illegal"):
        ServerHandshake().receive_data(b"EZCL\x01\x01\x00\x00")


def test_largest_handshake() -> None:
    """A packet that fills the limit is taken; one byte more is refused when its head has come."""
    ServerHandshake().receive_data(packet(HELLO, b"\xff\x0f\xf5" + bytes(4085)))

    with pytest.raises(RemoteProtocolError, match="too large"):
        ServerHandshake().receive_data(b"EZCL\x01\x00" + struct.pack(">H", 4089))


# Any bytes.


PACKETS = st.builds(
    packet,
    st.integers(0, 6),
    st.binary(max_size=60)
    | st.builds(
        Hello,
        nonce=st.sampled_from([b"", b"n" * 32]),
        key_id=st.sampled_from([b"", derive_key_id(KEY)]),
        proof=st.binary(max_size=33),
        code=st.sampled_from(["", "key", "version"]),
        text=st.text(max_size=20).map(lambda text: text.encode("utf-8", "replace").decode()),
    ),
)


@FUZZ
@example([OLD_EASYCLUSTER], [])
@given(st.lists(st.binary(max_size=40) | PACKETS, max_size=6), SIZES)
def test_any_bytes_are_taken_or_refused(parts: list[bytes], sizes: list[int]) -> None:
    """Any bytes are taken in, or refused by a documented error; without the key they open no session."""
    for end in ends():
        try:
            for piece in pieces(b"".join(parts), sizes):
                end.receive_data(piece)
        except (ConnectError, ProtocolError):
            assert end.agreement is None
        if end.state != "done":
            assert end.agreement is None
        elif isinstance(end, ClientHandshake):
            assert end._key is None
        elif isinstance(end, ServerHandshake):
            assert not end._keys


# Nothing is unpickled.


class Bomb:
    """Goes off when it is unpickled."""

    def __reduce__(self) -> Any:
        return os._exit, (99,)


@pytest.fixture
def no_unpickling(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes it an error to unpickle anything, by whatever door."""

    def refuse(*args: object, **options: object) -> Any:
        raise AssertionError("something was unpickled")

    for name in ("loads", "load", "Unpickler", "_loads", "_load", "_Unpickler"):
        monkeypatch.setattr(pickle, name, refuse)


@pytest.mark.untraced
@pytest.mark.usefixtures("no_unpickling")
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_nothing_is_unpickled(protocol: int) -> None:
    """A pickle in place of a packet, a payload or any field is never opened."""
    bomb = pickle.dumps(Bomb(), protocol)
    fields = b"".join(
        struct.pack(">BH", tag, len(bomb)) + bomb
        for tag in (3, 4, 5, 6, 8, 9, 13, 18, 19, 20, 22, 10, 11, 17, 21)
    )
    for data in (bomb, *(packet(kind, body) for kind in range(7) for body in (bomb, fields))):
        for end in ends():
            try:
                end.receive_data(data)
            except (ConnectError, ProtocolError):
                continue


@pytest.mark.untraced
@pytest.mark.usefixtures("no_unpickling")
def test_a_handshake_needs_no_pickle() -> None:
    """A whole handshake, and the first message after it, arrive without anything unpickled."""
    from easycluster_protocol._wire.link import Link
    from easycluster_protocol._wire.messages import CALL, Message

    client, server = ClientHandshake(KEY), ServerHandshake(KEY)
    run(client, server)
    assert client.agreement is not None
    assert server.agreement is not None
    message = Message(CALL, 1, pickle.dumps(Bomb()))
    link = Link(SERVER, server.agreement)

    link.receive_data(Link(CLIENT, client.agreement).data_to_send(message))

    assert link.receiver.next_message() == message
