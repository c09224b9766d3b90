"""Options of sockets."""

from __future__ import annotations

import _socket
import socket
import struct
from typing import Optional

#: The longest silence after which the system looks for a peer, in seconds.
_LONGEST_WAIT = 86400.0


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


def is_peer_full(_: _socket.socket) -> bool:
    """Return False: this system does not say whether a peer has no room."""
    return False


def count_unacknowledged(_: _socket.socket) -> Optional[int]:
    """Return None: this system does not say."""
    return None


def detect_loss(connection: _socket.socket, seconds: float, is_read: bool) -> None:
    """Let the system end a TCP connection whose other machine, or the way there, has been gone for so long.

    Args:
        connection: the connection.
        seconds: how long. After half of it the system sends ten probes.
        is_read: of no use here.
    """
    del is_read
    first = max(1, int(min(seconds, _LONGEST_WAIT) * 500))
    connection.ioctl(socket.SIO_KEEPALIVE_VALS, (1, first, max(1, first // 10)))
