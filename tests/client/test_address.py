"""Addresses: the way to a server, its port, and its name in messages."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from easycluster_client._address import Address, format_peername, get_peername, name_host
from helpers.pair import KEY

PLAIN = Address(None, "h", None, None, None, None, (), False)


@pytest.fixture
def connection() -> Iterator[socket.socket]:
    """A socket of TCP that is not connected."""
    with socket.socket() as made:
        yield made


def test_key_stays_out_of_the_repr() -> None:
    """What is printed of an address names the server, and neither the key nor the user."""
    assert repr(PLAIN._replace(key=KEY, user="me", port=5)) == "<Address h:5>"


def test_limit_of_an_address_that_names_none() -> None:
    """Connecting may take half a minute, unless the address says otherwise."""
    assert PLAIN.timeout == 30


@pytest.mark.parametrize(
    ("key", "ssh", "uses_ssh"),
    [
        (None, None, True),
        (KEY, None, False),
        (b"", None, False),
        (KEY, True, True),
        (KEY, "/bin/ssh", True),
        (None, False, False),
        (None, "", False),
    ],
)
def test_way_to_the_server(key: bytes | None, ssh: bool | str | None, uses_ssh: bool) -> None:
    """SSH is used where no key is given, even a blank one, unless the address says how to connect."""
    assert PLAIN._replace(key=key, ssh=ssh).uses_ssh is uses_ssh


@pytest.mark.parametrize(
    ("ssh", "port", "tcp_port", "peername"),
    [
        (True, None, None, "h:22"),
        (True, 0, None, "h:22"),
        (True, 2222, 2222, "h:2222"),
        (False, None, 11999, "h:11999"),
        (False, 0, 11999, "h:11999"),
        (False, 5, 5, "h:5"),
    ],
)
def test_ports(ssh: bool, port: int | None, tcp_port: int | None, peername: str) -> None:
    """Without a port TCP has that of EasyCluster, and ssh chooses its own, which messages take for 22."""
    address = PLAIN._replace(ssh=ssh, port=port)

    assert (address.tcp_port, address.peername) == (tcp_port, peername)


def test_peername_of_an_ipv6_address() -> None:
    """An address of IPv6 has brackets in the name, so that the port can be told from it."""
    assert PLAIN._replace(host="fe80::1", port=5).peername == "[fe80::1]:5"
    assert format_peername("::", 0) == "[::]:0"
    assert format_peername("192.0.2.1", 1) == "192.0.2.1:1"


def test_name_of_a_connected_socket(connection: socket.socket) -> None:
    """A connected socket is named by the address of its peer, not by its own."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        connection.connect(listening.getsockname())

        assert get_peername(connection) == f"127.0.0.1:{listening.getsockname()[1]}"


def test_name_of_a_socket_over_ipv6() -> None:
    """The four parts that a peer has over IPv6 give a name of host and port."""

    class OverIpv6(socket.socket):
        def getpeername(self) -> tuple[str, int, int, int]:
            return "::1", 5, 0, 7

    with OverIpv6() as connection:
        assert get_peername(connection) == "[::1]:5"


def test_name_of_a_socket_without_an_address(connection: socket.socket) -> None:
    """A local socket, one that is not connected and one that is closed are just sockets."""
    local, other = socket.socketpair()
    with local, other:
        names = [get_peername(each) for each in (local, connection)]
    names.append(get_peername(local))

    assert names == ["socket"] * 3


# The names of servers in errors.


def with_notes(*notes: Any) -> ValueError:
    """Return an error with notes."""
    error = ValueError("no")
    if notes:
        error.__dict__["__notes__"] = list(notes)
    return error


@pytest.mark.skipif(sys.version_info < (3, 11), reason="notes came with Python 3.11")
def test_note_of_the_server() -> None:
    """A note names the server once, after other notes; another server is named, too."""
    error = with_notes("mine")
    for name in ("h1:22", "h2:22", "h1:22"):
        name_host(error, name)

    assert vars(error) == {"__notes__": ["mine", "on h1:22", "on h2:22"]}


@pytest.mark.skipif(sys.version_info < (3, 11), reason="notes came with Python 3.11")
def test_error_that_takes_no_note() -> None:
    """An error whose notes are no list stays as it is; one that forbids attributes has the note all the same."""

    class Frozen(Exception):
        def __setattr__(self, name: str, value: object) -> None:
            raise AttributeError(name)

    odd, frozen = with_notes(), Frozen()
    odd.__dict__["__notes__"] = 5
    name_host(odd, "h1:22")
    name_host(frozen, "h1:22")

    assert vars(odd) == {"__notes__": 5}
    assert vars(frozen) == {"__notes__": ["on h1:22"]}


@pytest.mark.skipif(sys.version_info >= (3, 11), reason="notes came with Python 3.11")
def test_python_without_notes() -> None:
    """Where there are no notes, nothing is set on the error."""
    error = with_notes()
    name_host(error, "h1:22")

    assert vars(error) == {}
