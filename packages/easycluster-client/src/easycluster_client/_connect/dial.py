"""Making a TCP connection within a time limit; another thread may give the attempt up meanwhile."""

from __future__ import annotations

import os
import socket

from easycluster_client._deadlines import Deadline


def dial(host: str, port: int, deadline: Deadline) -> socket.socket:
    """Connect to the first address of a host that can be reached.

    Each address may take its share of the time that is left.

    Raises:
        OSError: none of them can be reached, or the time is over.
        UnicodeError: the name of the host cannot be looked up.
    """
    addresses = socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)
    failure: OSError | None = None
    for number, (family, kind, protocol, _, address) in enumerate(addresses):
        try:
            connection = socket.socket(family, kind, protocol)
            try:
                _connect(connection, address, deadline.share(len(addresses) - number))
            except BaseException:
                connection.close()
                raise
        except OSError as error:
            failure = error
        else:
            return connection
    raise failure or OSError(f"there is no address of {host}")


def _connect(connection: socket.socket, address: object, deadline: Deadline) -> None:
    connection.setblocking(False)
    try:
        connection.connect(address)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    except BlockingIOError:
        deadline.wait(-1, connection.fileno())
        number = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if number:
            raise OSError(number, os.strerror(number)) from None
    connection.setblocking(True)
