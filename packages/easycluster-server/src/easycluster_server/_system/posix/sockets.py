"""Options of sockets."""

from __future__ import annotations

import socket


def own_port(listening: socket.socket) -> None:
    """Let a socket listen on a port although connections of an earlier server there have just ended.

    No other socket can listen on that port meanwhile.
    """
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
