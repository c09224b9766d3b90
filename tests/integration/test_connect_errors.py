"""Connections that cannot be made: one clear error that is an OSError and names the server."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest

from easycluster import (
    AuthenticationError,
    Client,
    ConnectError,
    EasyClusterError,
    KeyFileError,
    VersionError,
    generate_key,
)
from easycluster_protocol._handshake.server import ServerHandshake
from helpers.sshd import Sshd, free_port
from helpers.stand_ins import listener
from helpers.states import forge_proof

KEY = generate_key()

#: How EasyCluster 0.22 begins: a message of 16 bytes, its challenge.
PUBLISHED = b"\x01\x00\x00\x00\x10" + bytes(range(16))

HTTP = b"HTTP/1.1 400 Bad Request\r\nServer: nginx\r\nContent-Type: text/html\r\n\r\n<html>"

Behaviour = Callable[[socket.socket], None]


def saying(*parts: bytes) -> Behaviour:
    """Take in the beginning of the client's handshake, say something, wait until the client leaves."""

    def behave(connection: socket.socket) -> None:
        connection.recv(4096)
        for part in parts:
            connection.sendall(part)
        silent(connection)

    return behave


def silent(connection: socket.socket) -> None:
    """Say nothing until the client leaves."""
    try:
        while connection.recv(4096):
            pass
    except ConnectionResetError:
        pass


def leave_at_once(connection: socket.socket) -> None:
    """Close the connection before anything was said."""


def leave_after_hello(connection: socket.socket) -> None:
    """Close the connection when the client has begun."""
    connection.recv(4096)


def reset(connection: socket.socket) -> None:
    """Reset the connection."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


def newer_version(connection: socket.socket) -> None:
    """Be a server of a later version, which speaks only a later protocol."""
    handshake = ServerHandshake(KEY, protocol_low=9, protocol_high=9, version="9.0.0")
    with pytest.raises(VersionError):
        handshake.receive_data(connection.recv(4096))
    connection.sendall(handshake.data_to_send())
    silent(connection)


def without_the_key(connection: socket.socket) -> None:
    """Be a server that pretends to know the key."""
    handshake = ServerHandshake(KEY)
    handshake.receive_data(connection.recv(4096))
    connection.sendall(handshake.data_to_send())
    proof = connection.recv(4096)
    forge_proof(handshake)
    handshake.receive_data(proof)
    connection.sendall(handshake.data_to_send())
    silent(connection)


def assert_clear(error: BaseException, name: str, *says: str) -> None:
    """Check that an error is ours, is an OSError, is one line, and says what it has to."""
    assert isinstance(error, ConnectError)
    assert isinstance(error, EasyClusterError)
    assert isinstance(error, OSError)
    text = str(error)
    assert text.startswith(f"cannot connect to {name}: ")
    assert "\n" not in text
    for said in says:
        assert said in text


def refusal(port: int, key: bytes = KEY, **options: Any) -> BaseException:
    """The error with which connecting to 127.0.0.1 fails."""
    with pytest.raises(OSError) as caught:  # noqa: PT011 -- `assert_clear` looks at it
        Client(key, "127.0.0.1", port, **options)
    return caught.value


@pytest.mark.parametrize(
    ("behave", "says"),
    [
        pytest.param(saying(PUBLISHED), "published EasyCluster (0.x)", id="published"),
        pytest.param(saying(PUBLISHED[:3], PUBLISHED[3:]), "published EasyCluster (0.x)", id="in pieces"),
        pytest.param(saying(HTTP), "of EasyCluster (check host and port", id="HTTP"),
        pytest.param(saying(b"SSH-2.0-OpenSSH_9.2\r\n"), "user@host or add :ssh=yes", id="ssh"),
        pytest.param(saying(b"220 mail ESMTP\r\n"), "b'220 mail ESMTP", id="mail"),
        pytest.param(saying(b"\x1b[2J\xff\n" * 1000), "\\x1b", id="noise"),
        pytest.param(leave_at_once, "", id="leaves at once"),
        pytest.param(leave_after_hello, "closed the connection during the handshake", id="leaves"),
        pytest.param(reset, "", id="resets"),
    ],
)
def test_listener(behave: Behaviour, says: str) -> None:
    """Whatever answers instead of a server is named, as far as it can be told."""
    with listener(behave) as port:
        error = refusal(port)

    assert_clear(error, f"127.0.0.1:{port}", says)
    assert "\x1b" not in str(error)


def test_silent_server() -> None:
    """A server that accepts and says nothing is given up after a while."""
    with listener(silent) as port:
        error = refusal(port, connect_timeout=0.5)

    assert_clear(error, f"127.0.0.1:{port}", "no answer within 0.5 seconds")


def test_server_that_stops_halfway() -> None:
    """A server that begins like ours and says no more is given up, too."""
    with listener(saying(b"EZCL\2")) as port:
        error = refusal(port, connect_timeout=0.5)

    assert_clear(error, f"127.0.0.1:{port}", "no answer within 0.5 seconds")


def test_refused_port() -> None:
    """Where nobody listens, the error says what to check."""
    port = free_port()
    error = refusal(port)

    assert_clear(error, f"127.0.0.1:{port}", "Connection refused", "is the server running", "user@host")


def test_refused_port_of_ipv6() -> None:
    """An IPv6 address is shown in brackets."""
    port = free_port()
    with pytest.raises(ConnectError) as caught:
        Client(KEY, "::1", port)

    assert_clear(caught.value, f"[::1]:{port}")


def test_unknown_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host name that nobody knows is named."""

    def fail(*args: object, **kwargs: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(ConnectError) as caught:
        Client(KEY, "no-such-host")

    assert_clear(caught.value, "no-such-host:11999", "Name or service not known")


@pytest.mark.parametrize(
    ("host", "port"),
    [("a" * 70 + ".example", 5), ("127.0.0.1", 70_000), ("127.0.0.1", -1), ("a\0b", 5)],
)
def test_impossible_address(host: str, port: int) -> None:
    """An address that cannot exist is an error like one that does not answer."""
    with pytest.raises(ConnectError) as caught:
        Client(KEY, host, port)

    assert f":{port}" in str(caught.value)


def test_wrong_key(start_server: Any) -> None:
    """With another key than the server's the error says where to give the right one."""
    server = start_server()
    error = refusal(server.port)

    assert_clear(error, f"127.0.0.1:{server.port}", "key", "kf=FILE")
    assert isinstance(error, AuthenticationError)
    assert isinstance(error, PermissionError)
    assert "refused" in server.wait_for_log("key is not the one")
    assert KEY.hex() not in str(error) + server.log


def test_server_without_the_key() -> None:
    """A server that does not hold the key is found out."""
    with listener(without_the_key) as port:
        error = refusal(port)

    assert_clear(error, f"127.0.0.1:{port}", "the server does not hold the same key")
    assert isinstance(error, AuthenticationError)


def test_other_version() -> None:
    """A server that speaks only another protocol is an error with both versions."""
    with listener(newer_version) as port:
        error = refusal(port)

    assert_clear(error, f"127.0.0.1:{port}", "1.0.0", "9.0.0", "same version")
    assert isinstance(error, VersionError)


@pytest.mark.parametrize("key", [b"", None, b"short"])
def test_no_key(key: Any) -> None:
    """Without a usable key the error says which connection needs one, and how to give it."""
    with pytest.raises(KeyFileError, match=r"the connection to 127\.0\.0\.1:5 .*kf=FILE") as caught:
        Client(key, "127.0.0.1", 5, ssh=False)

    assert b"short" not in str(caught.value).encode()


def test_not_allowed(start_server: Any) -> None:
    """A server that does not accept connections from here closes them."""
    server = start_server("-a", "192.0.2.0/24")
    error = refusal(server.port)

    assert_clear(error, f"127.0.0.1:{server.port}")
    server.wait_for_log("not in an allowed network")


def test_refused_reconnect(start_server: Any, key: bytes) -> None:
    """When `reconnect` fails, the client stays usable: later it may succeed."""
    server = start_server()
    client = Client(key, "127.0.0.1", server.port)
    assert server.stop() == 0

    with pytest.raises(ConnectError, match=rf"127\.0\.0\.1:{server.port}"):
        client.reconnect()
    assert not client.connected
    start_server("-p", server.port)
    client.reconnect()
    assert client.eval("1") == 1
    client.close()


@pytest.mark.needs_sshd
def test_no_key_means_ssh(sshd: Sshd) -> None:
    """A client without key and without `ssh` connects by SSH, and its errors are those of ssh."""
    port = free_port()
    with pytest.raises(ConnectError) as caught:
        Client(None, "h", port, extra_args=sshd.options)

    assert str(caught.value).startswith(f"cannot connect to h:{port} by SSH: ")


@pytest.mark.needs_sshd
def test_dash_host_is_no_option(sshd: Sshd, tmp_path: Any) -> None:
    """A host name that looks like an option of ssh is never taken for one."""
    touched = tmp_path / "touched"
    with pytest.raises(ConnectError):
        Client(None, f"-oProxyCommand=touch {touched}", ssh=True, extra_args=sshd.options)

    assert not touched.exists()
