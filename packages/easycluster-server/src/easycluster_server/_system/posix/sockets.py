"""Options of sockets."""

from __future__ import annotations

import _socket
import socket
import struct


def own_port(listening: socket.socket) -> None:
    """Let a socket listen on a port although connections of an earlier server there have just ended.

    No other socket can listen on that port meanwhile.
    """
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)


def reset_at_close(connection: _socket.socket, on: bool) -> None:
    """Say whether the peer is told by a reset, at once, when the socket is closed or its process ends."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", on, 0))
