"""Connecting to an address, in the way that it asks for."""

from __future__ import annotations

from easycluster_client._address import Address, format_peername
from easycluster_protocol.errors import ConnectError

from .by_ssh import connect_by_ssh
from .connected import OpenConnection
from .tcp import connect_tcp


def connect(address: Address) -> OpenConnection:
    """Connect to ``address``; on return the handshake is done.

    Raises:
        ConnectError: the connection could not be made; the message names the server and the reason.
        KeyFileError: there is no key, and SSH is not to be used.
    """
    if isinstance(address.port, int) and not 0 <= address.port <= 65535:  # 0 is the default
        name = format_peername(address.host, address.port)
        raise ConnectError(f"cannot connect to {name}: a port is a number from 1 to 65535")
    return connect_by_ssh(address) if address.uses_ssh else connect_tcp(address)
