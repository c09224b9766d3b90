"""Connections within TLS that are cut: in the handshake, in a record, between records, in one direction."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import easycluster
from easycluster import Client, ConnectError, ConnectionLost, ThreadedClient
from easycluster.parallel import connect_all
from helpers.cuts import Cut, CuttingRelay, end_both, end_one_way, reset_both
from helpers.servers import Server

#: The last record of an answer is longer, whatever the lengths of the signatures are.
SURELY_CUT = 16


@pytest.fixture
def lengths(tls_server: Server, key: bytes) -> dict[bool, tuple[int, int]]:
    """How many bytes a connection takes to the client and to the server, first until it is open, then in all."""
    relay = CuttingRelay(tls_server.port)
    client = Client(key, "127.0.0.1", relay.port, tls="require")
    opened = list(relay.passed)
    assert client.eval("'answer'") == "answer"
    called = list(relay.passed)
    client.close()
    relay.join()
    return {to_server: (opened[to_server], called[to_server]) for to_server in (False, True)}


@pytest.mark.parametrize("cut", [end_both, end_one_way, reset_both])
@pytest.mark.parametrize("to_server", [False, True], ids=["to client", "to server"])
def test_cuts(
    tls_server: Server, key: bytes, lengths: dict[bool, tuple[int, int]], to_server: bool, cut: Cut
) -> None:
    """Wherever a connection is cut, connecting or the call raises the error of a lost connection, in time; no part of
    an answer counts as one, and the server serves the next client."""
    opened, called = lengths[to_server]
    last = called - SURELY_CUT
    limits = {1, opened - 1, opened, opened + 1, opened + 5, last, *range(20, last, max(1, last // 20))}
    for limit in sorted(limits):
        relay = CuttingRelay(tls_server.port, to_server, limit, cut)
        with (
            pytest.raises((ConnectError, ConnectionLost)) as caught,
            Client(key, "127.0.0.1", relay.port, tls="require") as client,
        ):
            client.eval("'answer'")
        assert str(caught.value).isprintable(), limit
        relay.join()
    with Client(key, "127.0.0.1", tls_server.port) as client:
        assert client.eval("1 + 1") == 2


@pytest.mark.parametrize("cut", [end_both, end_one_way, reset_both])
def test_cut_in_a_large_answer(tls_server: Server, key: bytes, cut: Cut) -> None:
    """The beginning of a large answer, cut between or in records, is no answer; other calls that wait learn of it."""
    for limit in (200_000, 500_001):
        relay = CuttingRelay(tls_server.port, False, limit, cut)
        client: Any = Client(key, "127.0.0.1", relay.port, tls="require")
        large = client.eval("bytes(1_000_000)", nonblocking=True)
        other = client.eval("1 + 1", nonblocking=True, threadid=1)
        with pytest.raises(ConnectionLost):
            large.wait()
        try:
            assert other.wait() == 2  # small answers pass between the pieces of large ones
        except ConnectionLost:
            pass
        assert not client.connected
        client.close()
        relay.join()


@pytest.mark.parametrize("cut", [end_both, end_one_way, reset_both])
def test_cut_in_a_large_argument(tls_server: Server, key: bytes, cut: Cut) -> None:
    """A call whose argument is cut does not run."""
    relay = CuttingRelay(tls_server.port, True, 500_001, cut)
    client: Any = Client(key, "127.0.0.1", relay.port, tls="require")
    with pytest.raises(ConnectionLost):
        client.call("len", bytes(1_000_000))
    client.close()
    relay.join()


def test_connect_all(tls_server: Server, tcp_server: Server, key_file: Path, key: bytes) -> None:
    """Many hosts are connected within TLS at once; one that does not encrypt fails alone."""
    good = [f"127.0.0.1:{tls_server.port}:kf={key_file}:connect_timeout={100 + n}" for n in range(6)]
    bad = f"127.0.0.1:{tcp_server.port}:kf={key_file}:tls=require"
    with connect_all([*good, bad], clientclass=ThreadedClient) as hosts:
        assert list(hosts) == good
        assert all(easycluster.security(client).encrypted for client in hosts.values())
        assert [client.eval("1 + 1") for client in hosts.values()] == [2] * len(good)
        assert "--tls-cert" in str(hosts.errors[bad])
