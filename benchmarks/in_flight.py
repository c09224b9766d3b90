"""Thousands of calls at once: how many calls are answered in a second."""

from __future__ import annotations

from time import perf_counter

from baseline import Peer
from processes import contestants
from report import Set, alternate

from easycluster import Client

_CALLS = 5000

#: So many requests the baseline sends at once, then it reads so many answers. More might fill both
#: directions, and since it does not read while it sends, neither end would go on.
_WINDOW = 500


def _ours(client: Client) -> float:
    begin = perf_counter()
    responses = [client.noop(nonblocking=True) for _ in range(_CALLS)]
    for response in responses:
        response.wait()
    return (perf_counter() - begin) / _CALLS


def _baseline(peer: Peer) -> float:
    begin = perf_counter()
    for _ in range(_CALLS // _WINDOW):
        peer.send_packed([peer.pack(("noop", (), {})) for _ in range(_WINDOW)])
        for _ in range(_WINDOW):
            peer.receive()
    return (perf_counter() - begin) / _CALLS


def measure(transport: str, rounds: int) -> Set:
    """Measure one set; run it in a fresh process. Times are seconds per call."""
    with contestants(transport) as (client, peer):
        return alternate(rounds, lambda: _ours(client), lambda: _baseline(peer))
