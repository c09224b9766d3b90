"""A host that the test plays by hand, to which a client connects."""

from __future__ import annotations

import socket
from typing import Any, cast

import pytest

from easycluster_client._api import client as client_module
from easycluster_client._api.connection import Connection
from easycluster_client._connect.connected import OpenConnection
from easycluster_client._session.session import ClientSession
from easycluster_protocol._wire.link import Link
from easycluster_server._io.transport import SocketTransport
from helpers.hand_made import HandMadeServer


class HandMadeHost(HandMadeServer):
    """A server that waits for a client to use its connection.

    Args:
        is_bare: whether it has no modules of EasyCluster.

    Attributes:
        connection: the connection, for the client.
        finished: how often the ssh behind the connection was to be ended.
    """

    connection: OpenConnection

    def __init__(self, is_bare: bool = False) -> None:
        self.finished = 0

        def keep(link: Link, transport: SocketTransport, _: str) -> ClientSession:
            self.connection = OpenConnection(link, transport, "host:1", self._finish, is_bare)
            return cast("ClientSession", None)  # the client makes it

        super().__init__(keep)

    def _finish(self, since: float | None = None) -> None:
        self.finished += 1

    def say_no_more(self) -> None:
        """Let the client close the connection without waiting for this end."""
        self.socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """End everything."""
        self.socket.close()
        self.connection.finish()


def session_of(client: Connection) -> ClientSession:
    """Return the session of a client that is connected."""
    session = client._easycluster_calls.session
    assert session is not None
    return session


def let_clients_connect(patch: pytest.MonkeyPatch, *hosts: HandMadeHost) -> list[Any]:
    """Let clients connect to these hosts, one after the other; return a list that gets the address of each."""
    addresses: list[Any] = []
    left = list(hosts)

    def connect(address: Any) -> OpenConnection:
        addresses.append(address)
        return left.pop(0).connection

    patch.setattr(client_module, "connect", connect)
    return addresses
