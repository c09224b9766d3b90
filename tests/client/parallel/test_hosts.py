"""The clients of many hosts: a dictionary that can be closed."""

from __future__ import annotations

from easycluster_client._parallel.hosts import Hosts
from helpers.noted_client import NotedClient


class ClosedClient(NotedClient):
    """A client that notes its end."""

    is_closed = False

    def close(self, message: str = "Connection closed") -> None:
        self.is_closed = True


def test_block_closes_all() -> None:
    """The end of the block closes the clients that are there; one that was taken out belongs to the script."""
    hosts, clients = Hosts(), [ClosedClient() for _ in range(3)]
    hosts.update(zip("abc", clients, strict=True))
    with hosts as found:
        assert found is hosts
        assert found.pop("b") is clients[1]

    assert [client.is_closed for client in clients] == [True, False, True]


def test_repr() -> None:
    """The numbers are shown: the specs may hold keys."""
    hosts = Hosts()
    hosts["lab1:key=secret"] = NotedClient()
    hosts.errors["lab2:key=secret"] = OSError("no")

    assert repr(hosts) == "<Hosts: 1 connected, 1 failed>"
