"""The server's end of the handshake."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, strategies as st

from easycluster_protocol._handshake.client import ClientHandshake
from easycluster_protocol._handshake.hello import (
    CHALLENGE,
    HELLO,
    PROOF,
    REFUSE,
    WELCOME,
    Hello,
    describe_self,
)
from easycluster_protocol._handshake.hello_parser import parse_hello
from easycluster_protocol._handshake.secrets import derive_key_id
from easycluster_protocol._handshake.server import ServerHandshake
from easycluster_protocol._limits import MAX_HANDSHAKE_BYTES
from easycluster_protocol.errors import (
    AuthenticationError,
    ConnectError,
    ProtocolError,
    RemoteProtocolError,
    VersionError,
)
from helpers.handshakes import packet
from helpers.pair import FUZZ, KEY, OTHER_KEY, SESSION_NAME, Carrier, pieces


def test_a_private_hello() -> None:
    """A private HELLO is answered with the description of the server and the name of the session."""
    server = ServerHandshake(None, SESSION_NAME, host="server.example")
    assert server.data_to_send() == b""

    server.receive_data(packet(HELLO, describe_self(host="master.example")))

    sent = server.data_to_send()
    welcome = parse_hello(sent[8:])
    assert sent[4] == WELCOME
    assert (welcome.host, welcome.session, welcome.nonce) == ("server.example", SESSION_NAME, b"")
    assert server.agreement is not None
    assert server.agreement.peer.host == "master.example"


def test_a_keyed_hello() -> None:
    """A keyed HELLO is answered with a challenge; the name of the session comes only after the proof."""
    server = ServerHandshake(KEY, SESSION_NAME)

    server.receive_data(packet(HELLO, describe_self(nonce=b"n" * 32, key_id=derive_key_id(KEY))))

    sent = server.data_to_send()
    challenge = parse_hello(sent[8:])
    assert sent[4] == CHALLENGE
    assert (len(challenge.nonce), challenge.session) == (32, b"")
    assert server.agreement is None


@pytest.mark.parametrize("code", ["key", "version"])
def test_what_a_refusal_says(code: str) -> None:
    """An error of key or version leaves a refusal that says which of the two, in words and as a code."""
    server = ServerHandshake(KEY)
    hello = describe_self(protocol_low=9) if code == "version" else describe_self()

    with pytest.raises(ConnectError) as caught:
        server.receive_data(packet(HELLO, hello))

    sent = server.data_to_send()
    refusal = parse_hello(sent[8:])
    assert sent[4] == REFUSE
    assert (refusal.code, refusal.text, refusal.version) == (code, str(caught.value), server.own.version)


def test_bytes_of_another_protocol_get_no_answer() -> None:
    """A peer that breaks the rules is not told about them."""
    server = ServerHandshake(KEY)

    with pytest.raises(RemoteProtocolError):
        server.receive_data(packet(PROOF))

    assert server.data_to_send() == b""


def test_client_that_only_knows_the_name_of_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that has seen a key's id on the wire, but not the key, gets as far as the proof."""
    for end in ("client", "server"):
        monkeypatch.setattr(f"easycluster_protocol._handshake.{end}.derive_key_id", lambda key: b"the same")
    client, server = ClientHandshake(OTHER_KEY), ServerHandshake(KEY)
    carrier = Carrier(client, server)

    with pytest.raises(AuthenticationError, match="the key is not the one of this server"):
        carrier.run()

    assert [data[4] for _, data in carrier.packets] == [
        HELLO,
        CHALLENGE,
        PROOF,
        REFUSE,
    ]
    with pytest.raises(AuthenticationError, match="the server refused"):
        client.receive_data(carrier.packets[-1].data)


def test_version_of_a_stranger_is_shown_with_care() -> None:
    """The version that a stranger claims to have cannot write on a terminal or fill a log."""
    server = ServerHandshake(KEY)
    hostile = "1\x1b[2J\n\u202e" + "9" * 3000

    with pytest.raises(VersionError) as caught:
        server.receive_data(packet(HELLO, Hello(protocol_low=2, version=hostile)))

    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 400
    assert len(server.data_to_send()) < 500


def test_server_takes_no_refusal() -> None:
    """Only servers refuse."""
    with pytest.raises(RemoteProtocolError, match="handshake packet 5"):
        ServerHandshake().receive_data(packet(REFUSE))


@FUZZ
@given(st.integers(0, 4088), st.binary(max_size=40), st.integers(1, 4096))
def test_memory_before_the_proof(size: int, rest: bytes, piece: int) -> None:
    """Of all that a peer sends before it has proved the key, no more than 4 KiB is held."""
    hello = Hello(nonce=b"n" * 32, key_id=derive_key_id(KEY)).encode()
    padding = b"\xff" + struct.pack(">H", size) + bytes(size)
    sent = packet(HELLO, hello + padding) + packet(PROOF, rest) * 200
    server = ServerHandshake(KEY)

    for part in pieces(sent, [piece]):
        try:
            server.receive_data(part)
        except (ConnectError, ProtocolError):
            return
        finally:
            own = sum(map(len, server._out))
            assert len(server._transcript) + len(server._buffer) - own <= MAX_HANDSHAKE_BYTES
            assert own < 400
    raise AssertionError("a peer without the key was not refused")


def test_fields_of_later_versions_are_skipped() -> None:
    """A server takes a HELLO with fields that it does not know."""
    server = ServerHandshake()

    server.receive_data(packet(HELLO, Hello(protocol_high=9).encode() + b"\xfe\x00\x01x"))

    assert server.agreement is not None
