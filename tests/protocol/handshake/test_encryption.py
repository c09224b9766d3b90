from __future__ import annotations

from typing import Any

import pytest

from easycluster_protocol._handshake.client import ClientHandshake
from easycluster_protocol._handshake.encryption import (
    AUTO,
    BY_CERTIFICATE,
    BY_KEY,
    OFF,
    REQUIRE,
    bind,
    check_mode,
    choose,
    describe,
    is_new_enough,
    make_fields,
)
from easycluster_protocol._handshake.hello import PREFIX, Hello, describe_self, pack_packet
from easycluster_protocol._handshake.hello_parser import parse_hello
from easycluster_protocol._handshake.server import ServerHandshake
from easycluster_protocol.errors import AuthenticationError, ConnectError, RemoteProtocolError
from helpers.pair import KEY

BOTH = [BY_KEY, BY_CERTIFICATE]


def end(tls: int, ways: list[str], python: str = "3.13.0") -> Hello:
    """The description of an end."""
    return describe_self(**{**make_fields(tls, ways), "python": python})


def run(client_fields: Any, server_fields: Any) -> tuple[ClientHandshake, ServerHandshake]:
    """Run a keyed handshake to its end."""
    client, server = ClientHandshake(KEY, **client_fields), ServerHandshake(KEY, b"name", **server_fields)
    for _ in range(2):
        server.receive_data(client.data_to_send())
        client.receive_data(server.data_to_send())
    return client, server


@pytest.mark.parametrize(
    ("client", "server", "way"),
    [
        ((AUTO, BOTH), (AUTO, BOTH), BY_KEY),
        ((AUTO, BOTH), (AUTO, [BY_KEY]), BY_KEY),
        ((AUTO, [BY_CERTIFICATE]), (AUTO, BOTH), BY_CERTIFICATE),
        ((REQUIRE, [BY_CERTIFICATE]), (AUTO, BOTH), BY_CERTIFICATE),
        ((AUTO, BOTH), (REQUIRE, [BY_CERTIFICATE]), BY_CERTIFICATE),
        ((AUTO, [BY_CERTIFICATE]), (AUTO, [BY_KEY]), ""),
        ((OFF, []), (AUTO, BOTH), ""),
        ((AUTO, BOTH), (OFF, []), ""),
        ((AUTO, BOTH), (AUTO, []), ""),
    ],
)
def test_choice(client: tuple[int, list[str]], server: tuple[int, list[str]], way: str) -> None:
    """Both ends choose the same way; that of the shared key goes before certificates."""
    ends = end(*client), end(*server)

    assert choose(ends[0], ends[1], "the server") == choose(ends[1], ends[0], "the client") == way


@pytest.mark.parametrize(
    ("own", "peer", "peer_name", "message"),
    [
        (
            end(REQUIRE, [BY_CERTIFICATE], "3.11.7"),
            end(AUTO, [BY_KEY]),
            "the server",
            r"the client has Python 3\.11\.7: give the server a certificate \(--tls-cert\), or use Python 3\.13",
        ),
        (end(REQUIRE, BOTH), end(AUTO, [], "3.12.1"), "the server", r"the server has Python 3\.12\.1: "),
        (
            end(REQUIRE, [BY_CERTIFICATE]),
            end(AUTO, [BY_KEY]),
            "the server",
            "the client asks for a certificate, which the server has not: give the server a",
        ),
        (end(REQUIRE, BOTH), end(OFF, []), "the server", r"the server has switched it off \(--tls off\)"),
        (end(REQUIRE, [BY_KEY]), end(OFF, []), "the client", r"the client has switched it off \(tls=off\)"),
        (
            end(REQUIRE, BOTH),
            describe_self(),
            "the server",
            "the server runs a version of EasyCluster without",
        ),
        (end(REQUIRE, [BY_CERTIFICATE]), end(AUTO, []), "the client", "built without TLS: install one with"),
    ],
)
def test_no_way(own: Hello, peer: Hello, peer_name: str, message: str) -> None:
    """An end that requires TLS says which end cannot, and what to do."""
    with pytest.raises(ConnectError, match=f"^TLS is required here, and .*{message}"):
        choose(own, peer, peer_name)


def test_an_end_without_a_way() -> None:
    """An end that requires TLS and has no way for it never goes on without; nobody makes the fields of one, either."""
    with pytest.raises(ValueError, match="has to name a way"):
        make_fields(REQUIRE, [])
    for peer in (end(REQUIRE, BOTH), end(OFF, []), describe_self()):
        with pytest.raises(ConnectError, match="^TLS is required here, and "):
            choose(describe_self(tls=REQUIRE), peer, "the client")


def test_a_server_refuses() -> None:
    """A server that requires TLS refuses a client without it, and the client shows why."""
    client, server = ClientHandshake(KEY), ServerHandshake(KEY, b"", "", "", **make_fields(REQUIRE, BOTH))
    with pytest.raises(ConnectError, match="without TLS"):
        server.receive_data(client.data_to_send())
    with pytest.raises(ConnectError, match=r"the server refused the connection: TLS is required"):
        client.receive_data(server.data_to_send())


@pytest.mark.parametrize("ways", [BOTH, [BY_CERTIFICATE]])
def test_agreement(ways: list[str]) -> None:
    """Both ends have the same secret for TLS, a new one for each connection, and no keys for frames."""
    found = []
    for _ in range(2):
        client, server = run(make_fields(AUTO, ways), make_fields(AUTO, BOTH))
        assert client.agreement is not None
        assert server.agreement is not None
        assert client.agreement.tls == server.agreement.tls
        assert client.agreement.tls is not None
        assert {each.agreement.send_key for each in (client, server) if each.agreement} == {None}
        assert {each.agreement.receive_key for each in (client, server) if each.agreement} == {None}
        assert client.agreement.tls[1].hex() not in repr(client.agreement)
        assert repr(client.agreement).startswith(f"<Agreement: {ways[0]}, ")
        found.append(client.agreement.tls)

    assert found[0][0] == ways[0]
    assert found[0][1] != found[1][1]


@pytest.mark.parametrize("field", ["tls", "capabilities"])
@pytest.mark.parametrize("packet", ["HELLO", "CHALLENGE"])
def test_nobody_takes_it_away(packet: str, field: str) -> None:
    """Whoever changes what an end says of TLS, on the way, ends the connection."""
    fields: Any = make_fields(AUTO, BOTH)
    client, server = ClientHandshake(KEY, **fields), ServerHandshake(KEY, b"", **fields)

    def change(data: bytes) -> bytes:
        hello = parse_hello(data[PREFIX.size :])
        setattr(hello, field, 0 if field == "tls" else "")
        return pack_packet(data[4], hello)

    first = client.data_to_send()
    server.receive_data(change(first) if packet == "HELLO" else first)
    second = server.data_to_send()
    client.receive_data(change(second) if packet == "CHALLENGE" else second)
    with pytest.raises(AuthenticationError):
        server.receive_data(client.data_to_send())


def test_nothing_before_tls() -> None:
    """Bytes that follow the handshake at once are refused where TLS is to protect what follows."""
    fields: Any = make_fields(AUTO, BOTH)
    client, server = ClientHandshake(KEY, **fields), ServerHandshake(KEY, b"", **fields)
    server.receive_data(client.data_to_send())
    client.receive_data(server.data_to_send())
    server.receive_data(client.data_to_send())
    with pytest.raises(RemoteProtocolError, match="between the handshake and TLS"):
        client.receive_data(server.data_to_send() + b"x")

    assert (client.agreement, client.leftover, client.state) == (None, b"", "failed")


def test_proofs_of_certificates() -> None:
    """What an end sends inside TLS depends on the secret, the end and the certificate."""
    proofs = {
        bind(secret, name, certificate)
        for secret in (b"1" * 32, b"2" * 32)
        for name in ("client", "server")
        for certificate in (b"one", b"two")
    }

    assert len(proofs) == 8
    assert {len(proof) for proof in proofs} == {32}


def test_words() -> None:
    """What users write, and read."""
    assert [check_mode(mode, "tls") for mode in ("off", "auto", "require")] == [OFF, AUTO, REQUIRE]
    with pytest.raises(ValueError, match="^tls must be auto, require or off, not 'yes'$"):
        check_mode("yes", "tls")
    assert describe(None) == "HMAC-SHA256 by the shared key, not encrypted"
    assert describe((BY_KEY, b"")) == "TLS 1.3 with the shared key"
    assert [is_new_enough(each) for each in ("3.12.9", "3.13.0", "4.0", "", "x.y")] == [
        False,
        True,
        True,
        False,
        False,
    ]
