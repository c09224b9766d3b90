"""What protects the connection of a client."""

from __future__ import annotations

from typing import NamedTuple

from easycluster_client._address import is_local
from easycluster_server._io.transport import SocketTransport

from .connection import Connection


class Security(NamedTuple):
    """What protects a connection, see `security`.

    Attributes:
        text: for people.
        encrypted: whether those who can read the network cannot read the connection.
        cipher: the cipher of TLS, or None.
    """

    text: str
    encrypted: bool
    cipher: str | None = None

    def __repr__(self) -> str:
        return f"<Security: {self.text}>"

    def __str__(self) -> str:
        return self.text


def security(client: Connection) -> Security:
    """Return what protects the connection of a client.

    Args:
        client: a connected client.

    Returns:
        A named tuple: ``text`` says it for people, as in "TLS 1.3 with the shared key", "HMAC-SHA256 by the
        shared key, not encrypted", "ssh" or "local process"; ``encrypted`` is a bool; ``cipher`` is the name
        of the cipher of TLS, or None.

    Raises:
        ConnectionLost: the client is not connected.
        TypeError: it is no client.
    """
    if not isinstance(client, Connection):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"security() takes a client, not {type(client).__name__}")
    session = client._easycluster_calls.get_session()
    connection = client._easycluster_connection
    agreement = session.link.agreement
    if agreement.tls is not None:
        return _describe_tls(session.transport)
    if agreement.send_key is not None:
        return Security("HMAC-SHA256 by the shared key, not encrypted", False)
    if connection is not None and connection.is_bare:
        return Security("ssh", True)
    if is_local(client.peername):
        return Security("local process", True)
    return Security("a socket of the script, which EasyCluster does not protect", False)


def _describe_tls(transport: SocketTransport) -> Security:
    from easycluster_server._io.tls import TlsTransport  # it is there already

    assert isinstance(transport, TlsTransport)
    return Security(transport.description, True, transport.cipher)
