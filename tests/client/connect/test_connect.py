"""Connecting to an address: the way that is taken, and the ports that there are."""

from __future__ import annotations

from typing import Any

import pytest

from easycluster_client._address import Address
from easycluster_client._connect import connect as connect_module
from easycluster_client._connect.connect import connect
from easycluster_protocol.errors import ConnectError
from helpers.pair import KEY

PLAIN = Address(KEY, "h", None, None, None, None, (), False)


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The ways that were taken, with the addresses; each of them returns its name."""
    found: list[Any] = []

    def take(way: str) -> None:
        def connect(address: Address) -> str:
            found.append((way, address))
            return way

        monkeypatch.setattr(connect_module, way, connect)

    take("connect_tcp")
    take("connect_by_ssh")
    return found


@pytest.mark.parametrize(("ssh", "way"), [(None, "connect_tcp"), (True, "connect_by_ssh")])
def test_way_that_is_taken(taken: list[Any], ssh: bool | None, way: str) -> None:
    """The address decides between TCP and ssh, and the connection that comes of it is returned."""
    address = PLAIN._replace(ssh=ssh)
    made: Any = connect(address)

    assert made == way
    assert taken == [(way, address)]


@pytest.mark.parametrize("port", [None, 0, 1, 65535])
@pytest.mark.parametrize("ssh", [False, True])
def test_possible_ports(taken: list[Any], port: int | None, ssh: bool) -> None:
    """Each port that there is may be asked for, and 0 and None stand for the default."""
    connect(PLAIN._replace(port=port, ssh=ssh))

    assert [address.port for _, address in taken] == [port]


@pytest.mark.parametrize("port", [-1, 65536])
@pytest.mark.parametrize("ssh", [False, True])
def test_impossible_ports(taken: list[Any], port: int, ssh: bool) -> None:
    """A number that cannot be a port is refused by name before anything is tried."""
    with pytest.raises(ConnectError) as caught:
        connect(PLAIN._replace(host="::1", port=port, ssh=ssh))

    assert str(caught.value) == f"cannot connect to [::1]:{port}: a port is a number from 1 to 65535"
    assert taken == []
