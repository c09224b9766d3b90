"""Connecting over TCP with a key, and over a socket that is connected already."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from easycluster_client._address import Address
from easycluster_client._deadlines import LONGEST_WAIT, Deadline
from easycluster_client._keep_alive_options import KeepAliveOptions
from easycluster_client._observers import Observer, SocketObserver
from easycluster_client._tls_options import NAMES, TlsOptions
from easycluster_protocol._constants import DEFAULT_PORT
from easycluster_protocol._handshake.client import ClientHandshake
from easycluster_protocol._handshake.hello import CANCEL, STATUS_CAPABILITY
from easycluster_protocol._handshake.upgrade import BUNDLE
from easycluster_protocol._wire.last_words import explain_last_words
from easycluster_protocol._wire.link import CLIENT, Link
from easycluster_protocol.errors import ConnectError, KeyFileError
from easycluster_protocol.keys import check_key, hide
from easycluster_server._io.handshake import shake_hands
from easycluster_server._io.local_socket import LocalSocket
from easycluster_server._io.transport import SocketTransport
from easycluster_server._system.masters import detect_loss, reset_at_close

from .connected import OpenConnection, explain_failure
from .dial import dial
from .observers import LocalObserver, ServerObserver

if TYPE_CHECKING:
    from easycluster_protocol._handshake.hello import FieldValue


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
        unknown = isinstance(error, (socket.gaierror, UnicodeError))
        question = "is this the name of a host" if unknown else "is the server running there"
        raise ConnectError(
            f"cannot connect to {address.peername}: {error} ({question}? "
            "to connect by SSH write user@host or add :ssh=yes)"
        ) from error
    try:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        limit = address.keep_alive.limit
        if limit is not None:
            detect_loss(connection, limit, is_read=False)  # the process there may be busy for longer
        # Until an orderly close: if this process dies, a reset tells the server at once, even when it is not
        # reading.
        reset_at_close(connection, True)
        transport: SocketTransport = _LingeringTransport(connection)
        transport, link = _open(
            transport, key, address.compress, address.tls, address.host, deadline, address.keep_alive
        )
    except BaseException as error:
        connection.close()
        explained = _explain(error, address.peername, key)
        if explained is error:
            raise
        raise explained from error
    return OpenConnection(
        link,
        transport,
        address.peername,
        find_end=lambda: _find_end(link, transport),
        observer=_find_server_observer(address, link),
    )


def connect_socket(
    connection: socket.socket,
    peername: str,
    key: bytes | None,
    compress: bool,
    timeout: float,
    tls: TlsOptions = TlsOptions(),  # noqa: B008 -- it never changes
    keep_alive: KeepAliveOptions = KeepAliveOptions(),  # noqa: B008
) -> OpenConnection:
    """Run the handshake over a connected socket; without a key this is that of a private connection."""
    transport = SocketTransport(connection)
    host = peername.rpartition(":")[0].strip("[]") or peername
    try:
        transport, link = _open(transport, key or None, compress, tls, host, Deadline(timeout), keep_alive)
    except BaseException as error:
        transport.close()
        explained = _explain(error, peername, key)
        if explained is error:
            raise
        raise explained from error

    def find_end() -> str:
        if isinstance(connection, LocalSocket):
            return explain_last_words(connection.read_words())
        return _find_end(link, transport) if key else ""

    return OpenConnection(link, transport, peername, find_end=find_end, observer=_find_observer(connection))


def _find_server_observer(address: Address, link: Link) -> Observer:
    if address.keep_alive.limit is None or not link.agreement.peer.can(STATUS_CAPABILITY):
        return SocketObserver(acknowledges=True)
    return ServerObserver(address, link.agreement.name, address.keep_alive.limit / 2)


def _find_observer(connection: socket.socket) -> Observer:
    if isinstance(connection, LocalSocket):
        return LocalObserver(connection) if connection.answers else Observer()
    return SocketObserver(connection.family in (socket.AF_INET, socket.AF_INET6))


def _open(
    transport: SocketTransport,
    key: bytes | None,
    compress: bool,
    tls: TlsOptions,
    host: str,
    deadline: Deadline,
    keep_alive: KeepAliveOptions,
) -> tuple[SocketTransport, Link]:
    """Run the handshake, send this end's code to a server of another version, and run the handshake of TLS if
    it was agreed on; return the transport to use, and the link."""
    key = hide(key)
    fields: dict[str, FieldValue] = {**tls.make_fields(), "upgrade": BUNDLE} if key else {}
    if key and keep_alive.limit is not None:
        fields["keep_alive"] = int(min(keep_alive.limit, LONGEST_WAIT) * 1000)
    handshake = ClientHandshake(key, compress, False, **fields)
    link = shake_hands(handshake, transport, CLIENT, deadline.wait)
    if handshake.code_key is not None:
        from .upgrade import send_code  # most connections need nothing of it

        send_code(link, handshake.code_key, transport, deadline)
        # From now on it is the code of this end that runs there.
        link.agreement.peer.capabilities += f",{CANCEL}"
    if link.agreement.tls is None:
        return transport, link
    # `ssl` takes a while to import.
    from easycluster_server._io.tls_contexts import TlsFiles
    from easycluster_server._io.tls_handshake import secure_client

    files = TlsFiles(tls.cert, tls.key, tls.ca, NAMES)
    secured, early = secure_client(transport, link.agreement.tls, files, host, deadline.wait)
    if early:
        link.receive_data(early)
    return secured, link


def _explain(error: BaseException, peername: str, key: bytes | None) -> BaseException:
    """Return the error for a connection that could not be made; an interrupt stays as it is."""
    key = hide(key)
    if isinstance(error, OSError):
        return explain_failure(error, peername, key)
    if isinstance(error, KeyFileError):  # of the files for TLS
        return KeyFileError(f"cannot connect to {peername}: {error}")
    return error


def _find_end(link: Link, transport: SocketTransport) -> str:
    """Return how the remote process of a keyed connection has ended, if the rest of the stream says so."""
    # It is said outside of TLS: the process that had the keys is gone.
    unread = link.receiver.unread if link.agreement.tls is None else getattr(transport, "unread", b"")
    return explain_last_words(unread)


class _LingeringTransport(SocketTransport):
    """A TCP socket whose connection is reset when this process dies, but closed in order by `close`."""

    def close(self) -> None:
        try:
            reset_at_close(self.socket, False)
        except OSError:
            pass
        super().close()
