"""Peers that speak another protocol are named by their first bytes."""

from __future__ import annotations

import pytest

from easycluster_protocol._handshake.foreign import may_be_old_easycluster, name_foreign_peer
from easycluster_protocol._handshake.server import ServerHandshake
from easycluster_protocol.errors import RemoteProtocolError
from helpers.handshakes import OLD_EASYCLUSTER, ends
from helpers.pair import KEY, pieces

PEERS = [
    (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "speaks HTTP"),
    (b"POST / HTTP/1.1\r\n", "speaks HTTP"),
    (b"HEAD / HTTP/1.1\r\n", "speaks HTTP"),
    (b"PUT /x HTTP/1.1\r\n", "speaks HTTP"),
    (b"HTTP/1.1 400 Bad Request\r\n", "speaks HTTP"),
    (b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", "is an ssh server; to connect by ssh, write user@host"),
    (OLD_EASYCLUSTER, r"is a published EasyCluster \(0.x\)"),
    (b"\x16\x03\x01\x02\x00\x01", r"it sent b'\\x16\\x03"),
    (b"Permission denied, please try again.\n", "it sent b'Permission denied"),
    (b"EZCX", "it sent b'EZCX'"),
    (b"E\0", "it sent"),
]


def test_an_old_easycluster_in_pieces() -> None:
    """A published EasyCluster is named wherever its first bytes are cut."""
    for end in ends():
        for number in range(4):
            end.receive_data(OLD_EASYCLUSTER[number : number + 1])
        with pytest.raises(RemoteProtocolError, match="is a published EasyCluster"):
            end.receive_data(OLD_EASYCLUSTER[4:])


@pytest.mark.parametrize(("data", "fragment"), PEERS)
def test_foreign_peers_are_named(data: bytes, fragment: str) -> None:
    """A peer that speaks another protocol is named in the error, and gets no answer."""
    for end in ends():
        end.data_to_send()

        with pytest.raises(RemoteProtocolError, match=fragment):
            end.receive_data(data)

        assert end.data_to_send() == b""
        assert end.agreement is None


@pytest.mark.parametrize(("data", "_"), PEERS)
def test_foreign_peers_whose_bytes_come_one_by_one(data: bytes, _: str) -> None:
    """A peer that speaks another protocol is refused however slowly its bytes come."""
    for end in ends():
        with pytest.raises(RemoteProtocolError, match="the peer"):
            for piece in pieces(data, [1]):
                end.receive_data(piece)


def test_foreign_peers_are_quoted_briefly() -> None:
    """However much a foreign peer sends, the error shows the beginning, escaped."""
    with pytest.raises(RemoteProtocolError) as caught:
        ServerHandshake(KEY).receive_data(b"\x1b[2J\n" + b"x" * 4000)

    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("size", range(len(OLD_EASYCLUSTER)))
def test_what_may_be_an_old_easycluster(size: int) -> None:
    """Up to four of its first bytes leave open whether it is one; five are enough."""
    assert may_be_old_easycluster(OLD_EASYCLUSTER[:size]) is (size < 5)
    assert not may_be_old_easycluster(b"E" + OLD_EASYCLUSTER[:size])
    assert ("published EasyCluster" in name_foreign_peer(OLD_EASYCLUSTER[:size])) is (size >= 5)
