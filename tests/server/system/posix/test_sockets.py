from __future__ import annotations

import socket

from easycluster_server._system.posix.sockets import own_port


def test_port_of_an_earlier_server() -> None:
    """A server listens on its port again although a connection there has just ended; no two have it at once."""
    with socket.socket() as first:
        own_port(first)
        first.bind(("127.0.0.1", 0))
        first.listen()
        address = first.getsockname()
        client = socket.create_connection(address)
        server, _ = first.accept()
    server.close()  # this end closes first, and waits
    client.close()
    with socket.socket() as second:
        own_port(second)
        second.bind(address)
        second.listen()
