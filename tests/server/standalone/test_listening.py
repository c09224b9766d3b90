from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from easycluster_server._standalone import listening
from easycluster_server._standalone.listening import format_address, listen_on_all


@pytest.fixture
def sockets() -> Iterator[list[socket.socket]]:
    """Listening sockets, closed at the end."""
    sockets: list[socket.socket] = []
    yield sockets
    for each in sockets:
        each.close()


def addresses(sockets: list[socket.socket]) -> list[str]:
    """Where sockets listen."""
    return [format_address(each.getsockname()) for each in sockets]


def test_ipv6_that_is_switched_off(sockets: list[socket.socket], monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system knows IPv6 addresses but has IPv6 switched off, IPv4 is served."""
    original = listening._listen_on

    def listen_on(family: int, address: Any) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(97, "Address family not supported by protocol")
        return original(family, address)

    monkeypatch.setattr(listening, "_listen_on", listen_on)
    sockets += listen_on_all(None, 0, False)

    assert addresses(sockets) == [f"0.0.0.0:{sockets[0].getsockname()[1]}"]


def test_several_addresses(sockets: list[socket.socket]) -> None:
    """Several addresses are listened on, on one port; one that is given twice, or by a name, once."""
    sockets += listen_on_all(["127.0.0.1", "127.0.0.2", "127.0.0.1", "localhost"], 0, True)
    port = sockets[0].getsockname()[1]

    assert addresses(sockets) == [f"127.0.0.1:{port}", f"127.0.0.2:{port}"]


def test_no_address_of_several(sockets: list[socket.socket]) -> None:
    """An empty list means every address."""
    sockets += listen_on_all([], 0, True)

    assert addresses(sockets) == [f"0.0.0.0:{sockets[0].getsockname()[1]}"]


def test_one_of_several_fails() -> None:
    """If one address cannot be listened on, the error names it, and none is."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(OSError, match=r"cannot listen on 192\.0\.2\.1"):
        listen_on_all(["127.0.0.1", "192.0.2.1"], port, True)

    socket.create_server(("127.0.0.1", port)).close()
