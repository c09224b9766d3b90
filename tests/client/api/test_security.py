from __future__ import annotations

import socket
import threading

import pytest

from easycluster_client import Client, security
from easycluster_client._api.security import Security
from easycluster_protocol._handshake.server import ServerHandshake
from easycluster_protocol._wire.link import SERVER
from easycluster_protocol.errors import ConnectionLost
from easycluster_server._io.handshake import shake_hands
from easycluster_server._io.transport import SocketTransport


def test_value() -> None:
    """The value is read-only; its repr and its text say what protects the connection."""
    value = Security("ssh", True)

    assert (repr(value), str(value), value.cipher) == ("<Security: ssh>", "ssh", None)
    with pytest.raises(AttributeError):
        value.encrypted = False  # type: ignore[misc]


def test_socket_of_the_script() -> None:
    """EasyCluster does not protect a socket that the script has connected."""
    ours, theirs = socket.socketpair()
    server = SocketTransport(theirs)
    thread = threading.Thread(target=shake_hands, args=(ServerHandshake(None), server, SERVER))
    thread.start()
    client = Client()
    client.set_socket(ours, "peer")
    thread.join()

    assert security(client) == ("a socket of the script, which EasyCluster does not protect", False, None)
    server.close()
    client.close()
    with pytest.raises(ConnectionLost):
        security(client)
