"""Making connections: over TCP with a key, over SSH, or over a socket that is there already."""

from __future__ import annotations

import socket
import struct
import weakref
from collections.abc import Callable
from typing import Any, NamedTuple

from easycluster_client._process.exit import finish_at_exit
from easycluster_client._ssh.process import SshProcess
from easycluster_client._ssh.prompts import CONNECT_TIMEOUT, Deadline
from easycluster_protocol._constants import DEFAULT_PORT
from easycluster_protocol._handshake.client import ClientHandshake
from easycluster_protocol._wire.link import CLIENT, CLOSED, Link
from easycluster_protocol._wire.receiver import Receiver
from easycluster_protocol.errors import AuthenticationError, ConnectError
from easycluster_protocol.keys import check_key
from easycluster_server._io.handshake import receive_once, send_pending
from easycluster_server._io.transport import SocketTransport

from .spec import format_peername


class Address(NamedTuple):
    """Where a client connects to, and how."""

    key: bytes | None
    host: str
    port: int | None
    ssh: bool | str | None
    user: str | None
    rpython: str | None
    extra_args: tuple[str, ...]
    compress: bool
    timeout: float = CONNECT_TIMEOUT

    def __repr__(self) -> str:
        return f"<Address {self.peername}>"  # without the key

    @property
    def uses_ssh(self) -> bool:
        """Whether the connection goes over SSH."""
        return self.key is None if self.ssh is None else bool(self.ssh)

    @property
    def tcp_port(self) -> int | None:
        """The port, or the default where none was given; None where ssh's configuration says it."""
        return self.port or (None if self.uses_ssh else DEFAULT_PORT)

    @property
    def peername(self) -> str:
        """The server's name as messages show it."""
        return format_peername(self.host, self.tcp_port or 22)


class Connected:
    """An open connection and what must be ended with it.

    Args:
        link: the link, handshake done.
        transport: its transport.
        peername: the server's name, for messages.
        finish: called when the transport has been closed; it ends the ssh that the transport leads to.
        bare: whether the server has none of our modules but those that were sent to it.
    """

    def __init__(
        self,
        link: Link,
        transport: SocketTransport,
        peername: str,
        finish: Callable[[], None] | None = None,
        bare: bool = False,
    ) -> None:
        self.bare = bare
        self.link = link
        self.transport = _SshTransport(transport, link) if finish is not None else transport
        self.peername = peername
        # A client that is dropped without close() must not leave its socket to the collector.
        self._finalize = weakref.finalize(self, _release, self.transport, finish)
        self._finalize.atexit = False  # that would be before exit functions of the script that make calls
        finish_at_exit(self)

    def finish(self) -> None:
        """Release everything; the transport is closed already, unless the interpreter ends."""
        # Not by calling it: once `weakref` has run its own exit function, that does nothing.
        found = self._finalize.detach()
        if found is not None:
            _, release, arguments, _ = found
            release(*arguments)


class _SshTransport(SocketTransport):
    """The socket to ssh. After an orderly end it stays open for reading until `SshProcess.finish` closes it:
    an ssh that cannot get rid of what the login still prints does not end.

    Args:
        transport: the transport of the same socket.
        link: knows whether the end is an orderly one.
    """

    def __init__(self, transport: SocketTransport, link: Link) -> None:
        super().__init__(transport.socket)
        self._link = link
        self._waiting = False

    def receive(self, receiver: Receiver, block: bool) -> bool:
        """Receive once; see `SocketTransport.receive`."""
        self._waiting = block
        try:
            return super().receive(receiver, block)
        finally:
            self._waiting = False

    def shutdown(self) -> None:
        """End both directions, unless the end is an orderly one and no thread waits that must be woken."""
        if self._link.sending != CLOSED or self._waiting:
            super().shutdown()

    def close(self) -> None:
        """Close the descriptor, unless the end is an orderly one."""
        if self._link.sending != CLOSED:
            super().close()


def _release(transport: SocketTransport, finish: Callable[[], None] | None) -> None:
    transport.close()
    if finish is not None:
        finish()


def connect(address: Address) -> Connected:
    """Connect to ``address``; on return the handshake is done.

    Raises:
        ConnectError: it could not be done; the message names the server and the reason.
        KeyFileError: there is no key, and SSH is not to be used.
    """
    if isinstance(address.port, int) and not 0 <= address.port <= 65535:  # 0 is the default
        name = format_peername(address.host, address.port)
        raise ConnectError(f"cannot connect to {name}: a port is a number from 1 to 65535")
    return _connect_ssh(address) if address.uses_ssh else _connect_tcp(address)


def connect_socket(
    connection: socket.socket, peername: str, key: bytes | None, compress: bool, timeout: float
) -> Connected:
    """Run the handshake over a socket that is connected already; without a key: of a private connection."""
    transport = SocketTransport(connection)
    try:
        link = _shake_hands(ClientHandshake(key or None, compress), transport, Deadline(timeout))
    except BaseException as error:
        transport.close()
        if isinstance(error, OSError):
            raise _explain(error, peername) from error
        raise
    return Connected(link, transport, peername)


def name_of(connection: socket.socket) -> str:
    """Return the name of a socket's other side as messages show it."""
    try:
        address: Any = connection.getpeername()
    except OSError:  # not connected
        return "socket"
    # Others than those of IP have a text, or bytes.
    return format_peername(address[0], address[1]) if address.__class__ is tuple else "socket"


def _connect_tcp(address: Address) -> Connected:
    key = address.key or b""
    check_key(key, f"the connection to {address.peername}")
    deadline = Deadline(address.timeout)
    try:
        connection = socket.create_connection((address.host, address.port or DEFAULT_PORT), deadline.left)
    except (OSError, UnicodeError) as error:  # UnicodeError: a name that cannot be looked up
        raise ConnectError(
            f"cannot connect to {address.peername}: {error} (is the server running there? "
            "to connect by SSH write user@host or add :ssh=yes)"
        ) from error
    try:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        # Until an orderly close: when this process dies the server learns it at once, even when it
        # is not reading.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport = _LingeringTransport(connection)
        link = _shake_hands(ClientHandshake(key, address.compress), transport, deadline)
    except BaseException as error:
        connection.close()
        if isinstance(error, OSError):
            raise _explain(error, address.peername) from error
        raise
    return Connected(link, transport, address.peername)


class _LingeringTransport(SocketTransport):
    """A TCP socket that is reset when this process dies, but closed in order by `close`."""

    def close(self) -> None:
        try:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 0, 0))
        except OSError:
            pass
        super().close()


def _connect_ssh(address: Address) -> Connected:
    process = SshProcess(address)
    try:
        process.start()
        transport = SocketTransport(process.connection)
        deadline = Deadline(address.timeout, process.is_prompting)
        handshake = ClientHandshake(None, address.compress, announced=True)
        process.send_server(handshake.own, deadline)
        process.wait_for_server(deadline)
        link = _shake_hands(handshake, transport, deadline)
        # From here on whoever drops this ends ssh.
        return Connected(link, transport, address.peername, process.finish, bare=True)
    except BaseException as error:
        try:
            if isinstance(error, OSError):
                raise process.explain(error) from error
            raise
        finally:
            process.kill()
            process.connection.close()


def _shake_hands(handshake: ClientHandshake, transport: Any, deadline: Deadline) -> Link:
    while handshake.agreement is None:
        send_pending(handshake, transport)
        deadline.wait(transport.fileno())
        receive_once(handshake, transport)
    send_pending(handshake, transport)
    return Link(CLIENT, handshake.agreement, handshake.leftover)


def _explain(error: OSError, peername: str) -> ConnectError:
    kind = type(error) if isinstance(error, ConnectError) else ConnectError
    text = f"cannot connect to {peername}: {error}"
    if isinstance(error, AuthenticationError):
        text += " (give the server's key with kf=FILE or key=KEY in the spec, or with -k or -K)"
    return kind(text)
