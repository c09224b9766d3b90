"""Pairs of connected sockets, of which one end goes to another process."""

from __future__ import annotations

import socket
from typing import Tuple

from .sockets import own_port


def make_socket_pair() -> Tuple[socket.socket, socket.socket]:
    """Return two connected sockets, by way of the loopback interface.

    Others can connect to the port as well while it is open: their connections are dropped.
    `socket.socketpair` of older Pythons does not look who has connected.

    Raises:
        OSError: the system is out of sockets, or does not let them be connected.
    """
    ours = socket.socket()
    try:
        ours.setblocking(True)
        with socket.socket() as listening:
            listening.setblocking(True)
            own_port(listening)
            listening.bind(("127.0.0.1", 0))
            listening.listen(1)
            ours.connect(listening.getsockname())
            theirs, address = listening.accept()
            while address != ours.getsockname():
                theirs.close()
                theirs, address = listening.accept()
        theirs.setblocking(True)
        for end in (ours, theirs):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except BaseException:
        ours.close()
        raise
    return ours, theirs
