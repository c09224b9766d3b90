"""The client's end of the handshake."""

from __future__ import annotations

import pytest

from easycluster_protocol._handshake.client import ClientHandshake
from easycluster_protocol._handshake.hello import CHALLENGE, HELLO, REFUSE, WELCOME, Hello, describe_self
from easycluster_protocol._handshake.hello_parser import parse_hello
from easycluster_protocol._handshake.secrets import derive_key_id
from easycluster_protocol._handshake.server import ServerHandshake
from easycluster_protocol.errors import AuthenticationError, ConnectError, RemoteProtocolError, VersionError
from helpers.handshakes import packet, run
from helpers.pair import KEY, SESSION_NAME


@pytest.mark.parametrize("key", [None, KEY], ids=["private", "keyed"])
def test_hello(key: bytes | None) -> None:
    """The client begins with its description, and names the key if there is one."""
    client = ClientHandshake(key, compress=True, host="master.example")
    sent = client.data_to_send()
    hello = parse_hello(sent[8:])

    assert sent[4] == HELLO
    assert (hello.compress, hello.host, hello.python) == (1, "master.example", describe_self().python)
    assert (len(hello.nonce), hello.key_id) == ((0, b"") if key is None else (32, derive_key_id(key)))
    assert client.own.encode() == hello.encode()
    assert client.data_to_send() == b""


def test_a_client_that_is_known_already() -> None:
    """A client whose description went ahead with the server's code sends nothing, and takes WELCOME."""
    client = ClientHandshake(announced=True)

    assert client.data_to_send() == b""
    client.receive_data(packet(WELCOME, describe_self(session=SESSION_NAME)))
    assert client.agreement is not None
    assert client.agreement.name == SESSION_NAME


def test_server_without_a_key() -> None:
    """A client with a key does not take a welcome that proves nothing."""
    client, server = ClientHandshake(KEY), ServerHandshake()

    with pytest.raises(RemoteProtocolError, match="handshake packet 4 in state 'wait for challenge'"):
        run(client, server)

    assert client.agreement is None


@pytest.mark.parametrize(("key", "kind"), [(None, WELCOME), (KEY, CHALLENGE)])
def test_client_refuses_a_version_too(key: bytes | None, kind: int) -> None:
    """A server that did not notice is refused by the client."""
    client = ClientHandshake(key)

    with pytest.raises(VersionError, match="EasyCluster of unknown version there 5 to 6"):
        client.receive_data(packet(kind, Hello(protocol_low=5, protocol_high=6, nonce=b"n" * 32)))


@pytest.mark.parametrize(
    ("code", "error"),
    [("key", AuthenticationError), ("version", VersionError), ("busy", ConnectError), ("", ConnectError)],
)
@pytest.mark.parametrize("key", [None, KEY], ids=["private", "keyed"])
def test_refusal(code: str, error: type[ConnectError], key: bytes | None) -> None:
    """A server can refuse for any reason, before it has heard anything; the client says why."""
    client, server = ClientHandshake(key), ServerHandshake(key)

    server.refuse(code, "come back later")

    with pytest.raises(ConnectError, match="the server refused the connection: come back later") as caught:
        client.receive_data(server.data_to_send())
    assert type(caught.value) is error
    assert client.agreement is None
    with pytest.raises(RemoteProtocolError, match="in state 'failed'"):
        server.receive_data(client.data_to_send())


def test_refusal_instead_of_a_welcome() -> None:
    """A server can still refuse when the client has proved its key."""
    client, server = ClientHandshake(KEY), ServerHandshake(KEY)
    server.receive_data(client.data_to_send())
    client.receive_data(server.data_to_send())

    server.refuse("busy", "too many sessions")

    with pytest.raises(ConnectError, match="too many sessions"):
        client.receive_data(server.data_to_send())


def test_refusal_is_shown_with_care() -> None:
    """The text of a refusal, which anybody can send, cannot write on a terminal or fill it."""
    text = "\x1b[2Jno\r\n\x07 \x9b\u202e\u2028\0 entry" + "!" * 3000
    client = ClientHandshake(KEY)

    with pytest.raises(ConnectError, match="no  entry!!!") as caught:
        client.receive_data(packet(REFUSE, Hello(text=text, code="x\n")))

    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 600
