"""Connecting over TCP with a key, and over a socket that is connected already."""

from __future__ import annotations

import socket

from easycluster_client._address import Address
from easycluster_client._deadlines import Deadline
from easycluster_protocol._constants import DEFAULT_PORT
from easycluster_protocol._handshake.client import ClientHandshake
from easycluster_protocol._wire.last_words import explain_last_words
from easycluster_protocol._wire.link import CLIENT, Link
from easycluster_protocol.errors import ConnectError, KeyFileError
from easycluster_protocol.keys import check_key
from easycluster_server._io.handshake import shake_hands
from easycluster_server._io.local_socket import LocalSocket
from easycluster_server._io.transport import SocketTransport
from easycluster_server._system.masters import reset_at_close

from .connected import OpenConnection, explain_failure
from .dial import dial


def connect_tcp(address: Address) -> OpenConnection:
    """Connect over TCP and run the handshake; see `connect`."""
    key = address.key or b""
    try:
        check_key(key, f"the connection to {address.peername}")
    except KeyFileError as error:
        if key:
            raise
        host = address.host
        raise KeyFileError(f"{error}; to connect by SSH, write you@{host} or {host}:ssh=yes") from None
    deadline = Deadline(address.timeout)
    try:
        connection = dial(address.host, address.port or DEFAULT_PORT, deadline)
    except (OSError, UnicodeError) as error:  # UnicodeError: a name that cannot be looked up
        raise ConnectError(
            f"cannot connect to {address.peername}: {error} (is the server running there? "
            "to connect by SSH write user@host or add :ssh=yes)"
        ) from error
    try:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        # Until an orderly close: if this process dies, a reset tells the server at once, even when it is not
        # reading.
        reset_at_close(connection, True)
        transport = _LingeringTransport(connection)
        link = shake_hands(ClientHandshake(key, address.compress), transport, CLIENT, deadline.wait)
    except BaseException as error:
        connection.close()
        if isinstance(error, OSError):
            raise explain_failure(error, address.peername, key) from error
        raise
    return OpenConnection(link, transport, address.peername, find_end=lambda: _find_end(link))


def connect_socket(
    connection: socket.socket, peername: str, key: bytes | None, compress: bool, timeout: float
) -> OpenConnection:
    """Run the handshake over a connected socket; without a key this is that of a private connection."""
    transport = SocketTransport(connection)
    try:
        link = shake_hands(ClientHandshake(key or None, compress), transport, CLIENT, Deadline(timeout).wait)
    except BaseException as error:
        transport.close()
        if isinstance(error, OSError):
            raise explain_failure(error, peername, key) from error
        raise

    def find_end() -> str:
        if isinstance(connection, LocalSocket):
            return explain_last_words(connection.read_words())
        return _find_end(link) if key else ""

    return OpenConnection(link, transport, peername, find_end=find_end)


def _find_end(link: Link) -> str:
    """Return how the remote process of a keyed connection has ended, if the rest of the stream says so."""
    return explain_last_words(link.receiver.unread)


class _LingeringTransport(SocketTransport):
    """A TCP socket whose connection is reset when this process dies, but closed in order by `close`."""

    def close(self) -> None:
        try:
            reset_at_close(self.socket, False)
        except OSError:
            pass
        super().close()
