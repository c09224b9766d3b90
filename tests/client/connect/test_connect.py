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


SPEC = "cannot connect to {0}: this is a connection spec, not the name of a host; write Client.from_spec({0})"


@pytest.mark.parametrize(
    ("host", "ssh", "shown"),
    [
        ("you@lab1", False, "'you@lab1'"),
        ("lab1:12000", False, "'lab1:12000'"),
        ("[::1]", False, "'[::1]'"),
        ("lab1:key=s3cret", False, "'lab1:key=***'"),
        ("lab1:2222:ssh=yes", True, "'lab1:2222:ssh=yes'"),
    ],
)
def test_spec_as_a_host(taken: list[Any], host: str, ssh: bool, shown: str) -> None:
    """A connection spec where the name of a host is wanted is refused, without its key, before anything is tried."""
    with pytest.raises(ConnectError) as caught:
        connect(PLAIN._replace(host=host, ssh=ssh))

    assert str(caught.value) == SPEC.format(shown)
    assert taken == []


@pytest.mark.parametrize(
    ("host", "ssh"),
    [
        ("lab1.example.com", False),
        ("192.0.2.1", False),
        ("fe80::1%eth0", False),
        ("::1", False),
        ("you@lab1", True),
        ("ssh://you@lab1:2222", True),
    ],
)
def test_possible_hosts(taken: list[Any], host: str, ssh: bool) -> None:
    """Names and addresses are not taken for specs; ssh itself may be told the user and the port."""
    connect(PLAIN._replace(host=host, ssh=ssh))

    assert [address.host for _, address in taken] == [host]


@pytest.mark.parametrize("port", [-1, 65536])
@pytest.mark.parametrize("ssh", [False, True])
def test_impossible_ports(taken: list[Any], port: int, ssh: bool) -> None:
    """A number that cannot be a port is refused by name before anything is tried."""
    with pytest.raises(ConnectError) as caught:
        connect(PLAIN._replace(host="::1", port=port, ssh=ssh))

    assert str(caught.value) == f"cannot connect to [::1]:{port}: a port is a number from 1 to 65535"
    assert taken == []
