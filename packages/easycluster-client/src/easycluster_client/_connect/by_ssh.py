"""Connecting over SSH, to a host where nothing needs to be installed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from easycluster_client._address import Address
from easycluster_client._deadlines import Deadline
from easycluster_client._ssh.command import get_program_name
from easycluster_client._ssh.failures import begin_message
from easycluster_client._ssh.process import SshProcess
from easycluster_protocol._handshake.client import ClientHandshake
from easycluster_protocol._wire.link import CLIENT, CLOSED, Link
from easycluster_protocol.errors import ConnectError
from easycluster_server._io.handshake import shake_hands
from easycluster_server._io.transport import SocketTransport

from .connected import OpenConnection
from .observers import SshObserver

if TYPE_CHECKING:
    from easycluster_server._io.transport import Inbox


def connect_by_ssh(address: Address) -> OpenConnection:
    """Start ssh, send the server through it and run the handshake; see `connect`."""
    try:
        process = SshProcess(address)
    except OSError as error:  # out of descriptors
        failed = begin_message(address.peername, get_program_name(address))
        raise ConnectError(f"{failed}: {error}") from error
    try:
        process.start()
        transport = SocketTransport(process.connection)
        deadline = Deadline(address.timeout, process.is_prompting)
        handshake = ClientHandshake(None, address.compress, announced=True)
        process.send_server(handshake.own, deadline)
        process.wait_for_server(deadline)
        link = shake_hands(handshake, transport, CLIENT, deadline.wait)
        # From now on the finaliser of the connection ends ssh.
        return OpenConnection(
            link,
            _SshTransport(transport, link),
            address.peername,
            process.finish,
            is_bare=True,
            find_end=lambda: process.find_end(link.agreement.peer.process),
            observer=SshObserver(process) if address.keep_alive.limit is not None else None,
        )
    except BaseException as error:
        try:
            if isinstance(error, OSError):
                raise process.explain(error) from error
            raise
        finally:
            process.kill()
            process.connection.close()


class _SshTransport(SocketTransport):
    """The socket to ssh.

    After an orderly end it stays open for reading until `SshProcess.finish` closes it: ssh does not end
    before it has written everything that the login prints.

    Args:
        transport: the transport of the same socket.
        link: knows whether the connection ended in order.
    """

    def __init__(self, transport: SocketTransport, link: Link) -> None:
        super().__init__(transport.socket)
        self._link = link
        self._waiting = False

    def receive(self, receiver: Inbox, block: bool) -> bool:
        """Receive once; see `SocketTransport.receive`."""
        self._waiting = block
        try:
            return super().receive(receiver, block)
        finally:
            self._waiting = False

    def shutdown(self) -> None:
        """End both directions, unless the connection ended in order and no thread has to be woken."""
        if self._link.sending != CLOSED or self._waiting:
            super().shutdown()

    def close(self) -> None:
        """Close the descriptor, unless the connection ended in order."""
        if self._link.sending != CLOSED:
            super().close()
