from __future__ import annotations

import socket
from typing import Any, cast

import pytest

from easycluster_protocol._handshake.client import ClientHandshake
from easycluster_protocol._handshake.server import ServerHandshake
from easycluster_protocol._limits import HANDSHAKE_SECONDS
from easycluster_server._standalone.peers import MAX_PENDING, Peer, Peers
from helpers.pair import KEY


def make_peer(now: float = 0.0) -> Peer:
    """A peer that has said nothing."""
    return Peer(cast("socket.socket", object()), "h:1", "h", ServerHandshake(KEY), lambda: now)


def make_named_peer() -> Peer:
    """A peer that has named the key."""
    peer = make_peer()
    peer.handshake.receive_data(ClientHandshake(KEY).data_to_send())
    return peer


@pytest.fixture
def peers() -> Peers:
    """No peers yet."""
    return Peers()


def take_in(peers: Peers, peer: Peer) -> None:
    """Add a peer, and drop what is too many, as the listener does."""
    peers.add(peer)
    peers.note_key(peer)
    excess = peers.find_excess()
    if excess is not None:
        peers.remove(excess)


@pytest.mark.parametrize(
    ("honest", "strangers"), [(make_named_peer, make_peer), (make_peer, make_named_peer)]
)
def test_two_queues(peers: Peers, honest: Any, strangers: Any) -> None:
    """No number of peers that have said nothing pushes out one that has named a key, nor the other way about."""
    peer = honest()
    take_in(peers, peer)
    for _ in range(10 * MAX_PENDING):
        take_in(peers, strangers())

    assert peers.find(peer.connection) is peer
    assert len(peers) == MAX_PENDING + 1


@pytest.mark.parametrize("make", [make_peer, make_named_peer])
def test_the_oldest_goes(peers: Peers, make: Any) -> None:
    """Within one queue the one that has taken longest goes."""
    all_peers = [make() for _ in range(MAX_PENDING + 1)]
    for peer in all_peers:
        take_in(peers, peer)

    assert peers.list_all() == all_peers[1:]


def test_deadlines(peers: Peers) -> None:
    """Naming a key gives no more time."""
    first, second = make_named_peer(), make_peer(5.0)
    assert peers.find_deadline() is None
    for peer in (first, second):
        take_in(peers, peer)

    assert peers.find_deadline() == HANDSHAKE_SECONDS
    assert peers.list_expired(HANDSHAKE_SECONDS - 1) == []
    assert peers.list_expired(HANDSHAKE_SECONDS) == [first]
    assert peers.list_expired(HANDSHAKE_SECONDS + 5) == [second, first]
