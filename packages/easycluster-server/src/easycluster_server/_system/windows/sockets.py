"""Options of sockets."""

from __future__ import annotations

import _socket
import socket
import struct
from typing import Optional


def own_port(listening: socket.socket) -> None:
    """Let no other socket listen on the same port.

    SO_REUSEADDR would allow just that here, and connections of an earlier server do not keep its port.
    """
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)


def reset_at_close(connection: _socket.socket, on: bool) -> None:
    """Say whether the peer is told by a reset, at once, when the socket is closed or its process ends."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("HH", on, 0))


def limit_receive(_: _socket.socket, __: float) -> None:
    """Do nothing: `SocketTransport.receive` looks around often enough."""


def count_unacknowledged(_: _socket.socket) -> Optional[int]:
    """Return None: this system does not say."""
    return None
