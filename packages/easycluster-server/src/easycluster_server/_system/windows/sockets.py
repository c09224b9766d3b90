"""Options of sockets."""

from __future__ import annotations

import socket


def own_port(listening: socket.socket) -> None:
    """Let no other socket listen on the same port.

    SO_REUSEADDR would allow just that here, and connections of an earlier server do not keep its port.
    """
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
