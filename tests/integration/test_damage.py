"""Connections whose bytes are damaged on their way: a call gives its value or an error, and nothing runs twice.

`make fuzz` runs more cases: EASYCLUSTER_FUZZ is their number.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from easycluster import Client, EasyClusterError, ThreadedClient, define_common
from helpers.damage import DAMAGES
from helpers.relays import Relay
from helpers.servers import Server

CASES = int(os.environ.get("EASYCLUSTER_FUZZ", "500"))
CALLS = 8
#: So many cases at once: some last until the host is given up.
AT_ONCE = 16
#: Pieces that a connection with all its calls has in each direction, at least.
PIECES = 12
#: After so many more pieces the connection ends: an end that waits for bytes that are missing in a frame takes the
#: answers to its questions for these, until the frame is full.
AFTERWARDS = 8

DEFINITIONS = """
def note(path, number, data):
    with open(path, "a") as file:
        file.write("%d\\n" % number)
    return number, data
"""


class Damaged:
    """A connection of which one piece is damaged.

    Args:
        seed: decides which, and how.
        server: the server.
    """

    def __init__(self, seed: int, server: Server) -> None:
        self._chance = random.Random(seed)
        self._damage = DAMAGES[seed % len(DAMAGES)]
        self._to_server = self._chance.random() < 0.5
        self._left = self._chance.randrange(PIECES)
        self.relay = Relay(server.port, self._change)

    def _change(self, data: bytes, to_server: bool) -> bytes:
        if to_server == self._to_server:
            self._left -= 1
            if self._left == -1:
                return self._damage(data, self._chance)
            if self._left < -AFTERWARDS:
                raise ConnectionError("the relay ends")
        return data


def call_damaged(seed: int, server: Server, key: bytes, path: Path) -> str:
    """Make calls over a damaged connection; return what became of it."""
    damaged = Damaged(seed, server)
    returned = 0
    outcome = "passed"
    try:
        with ThreadedClient(
            key,
            "127.0.0.1",
            damaged.relay.port,
            keep_alive_interval=0.2,
            keep_alive_timeout=1,
            connect_timeout=3,
        ) as client:
            for number in range(CALLS):
                data = random.Random(number).randbytes(100 if number % 4 else 100_000)
                assert client.note(str(path), number, data) == (number, data)
                returned += 1
    except EasyClusterError as error:
        outcome = type(error).__name__
    damaged.relay.join()
    noted = [int(line) for line in path.read_text().split()] if path.exists() else []
    assert noted == list(range(len(noted)))
    assert returned <= len(noted) <= returned + 1
    return outcome


@pytest.mark.timeout(120 if CASES <= 500 else 0)
def test_damaged_connections(tcp_server: Server, key: bytes, tmp_path: Path) -> None:
    """However bytes are damaged, calls give right values, or one of our errors in time; no call runs twice, and the
    server serves others."""
    define_common(DEFINITIONS)

    def run(seed: int) -> str:
        return call_damaged(seed, tcp_server, key, tmp_path / str(seed))

    with ThreadPoolExecutor(AT_ONCE) as pool:
        outcomes = Counter(pool.map(run, range(CASES)))
    assert outcomes["OutcomeUnknown"] > CASES // 4, outcomes
    with Client(key, "127.0.0.1", tcp_server.port) as client:
        assert client.eval("1 + 1") == 2
