"""Sizes that a peer announces cost no memory before their bytes come, whichever end hears them."""

from __future__ import annotations

import gc
import pickle
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from easycluster_protocol._handshake.client import ClientHandshake
from easycluster_protocol._limits import FEW_STREAMS, MAX_STREAMS, MAX_TABLE_ENTRIES
from easycluster_protocol._wire import frames, messages as m
from easycluster_protocol._wire.link import CLIENT
from easycluster_protocol._wire.messages import Message, pack_head
from easycluster_protocol._wire.sender import Sender
from easycluster_server._io.handshake import shake_hands
from easycluster_server._io.transport import SocketTransport
from easycluster_server._spawn import start_local
from helpers.hand_made import HandMadeServer
from helpers.waiting import PATIENCE

if TYPE_CHECKING:
    from easycluster_protocol._wire.sender import PlannedFrame

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the memory of a process is read in /proc")

MIB = 1 << 20
GIB = 1 << 30

#: Memory that may be resident beyond the bytes that have come.
ALLOWED = 64 * MIB


def announce(sender: Sender, kind: int, size: int, count: int, come: int, table: int = 0) -> bytes:
    """Begin large messages.

    Args:
        sender: makes the frames.
        kind: the kind of the messages.
        size: the size of the body that each announces.
        count: how many messages to begin.
        come: how many bytes of each body come.
        table: how many objects each message releases.
    """
    head = bytearray(pack_head(Message(kind, 1, releases=[(1 << 60, 1)] * table)))
    head[32:40] = size.to_bytes(8, "big")
    parts: list[bytes] = []
    for stream in range(1, count + 1):
        plans: list[PlannedFrame] = [(frames.BEGIN, stream, bytes(head)), (frames.DATA, stream, bytes(come))]
        parts.append(sender.send_all([plans]))
    return b"".join(parts)


CASES = {
    "one, and 100 kB of it": (GIB, 1, 100_000),
    "few": (GIB, FEW_STREAMS, 1),
    "few small": (MIB, FEW_STREAMS, 1),
    "many": (GIB, 1500, 1),
    "many small": (MIB, 1500, 1),
    "many tiny": (70_000, 1500, 1),
    "as many as there can be": (3 * MIB, MAX_STREAMS, 1),
    "with tables": (GIB, 100, 1, MAX_TABLE_ENTRIES),
}


def read_resident(pid: Any = "self") -> int:
    """Return the bytes that a process has in memory."""
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * 4096


class Server:
    """A server process, and this end of its connection, on which the test may send anything.

    Attributes:
        link: this end.
        socket: the socket.
    """

    def __init__(self) -> None:
        self.socket, _ = start_local()
        self.link = shake_hands(ClientHandshake(None), SocketTransport(self.socket), CLIENT)
        self.socket.settimeout(PATIENCE)
        self._calls = 0

    def eval(self, expression: str) -> Any:
        """Evaluate an expression there."""
        self._calls += 1
        body = pickle.dumps((0, "eval", (expression,), {}))
        self.socket.sendall(self.link.data_to_send(Message(m.INVOKE, self._calls, body)))
        answers: list[Message] = []
        while not answers:
            self.link.receive_data(self.socket.recv(1 << 16))
            self.link.receiver.deliver(answers.append)
        assert answers[0].kind == m.RESULT
        return pickle.loads(answers[0].body)


@pytest.fixture
def server() -> Iterator[Server]:
    """A server process; it ends with its connection."""
    server = Server()
    yield server
    server.socket.sendall(server.link.data_to_send(Message(m.CLOSE)))
    while server.socket.recv(1 << 16):
        pass
    server.socket.close()


@pytest.mark.parametrize("module", ["os", "numpy"])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_servers(case: tuple[int, ...], module: str, server: Server) -> None:
    """A server holds what has come and a little more, with NumPy or without, and goes on serving."""
    pid = server.eval(f"[__import__('os').getpid(), __import__({module!r})][0]")
    sent = announce(server.link.sender, m.CALL, *case)
    before = read_resident(pid)

    server.socket.sendall(sent)

    assert server.eval("1 + 1") == 2
    assert read_resident(pid) - before <= len(sent) + ALLOWED


@pytest.fixture
def hand_made() -> Iterator[HandMadeServer]:
    """A server that the test plays, and the session of a real master."""
    server = HandMadeServer()
    yield server
    server.close()


@pytest.mark.parametrize("has_numpy", [False, True])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_masters(
    case: tuple[int, ...], has_numpy: bool, hand_made: HandMadeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So does a master, and its call gets its answer."""
    if has_numpy:
        monkeypatch.setitem(sys.modules, "numpy", np)
    else:
        monkeypatch.delitem(sys.modules, "numpy", raising=False)
    response = hand_made.request()
    sent = announce(hand_made.sender, m.RESULT, *case)
    gc.collect()
    before = read_resident()

    for start in range(0, len(sent), 1 << 16):
        hand_made.socket.sendall(sent[start : start + (1 << 16)])
        hand_made.session.read(True)

    assert read_resident() - before <= len(sent) + ALLOWED
    hand_made.answer(response)
    assert response.wait() == "value"
