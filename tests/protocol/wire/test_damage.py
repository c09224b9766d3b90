"""Bytes that are damaged on their way: an end gives up with the error for that, and keyed ones believe none of it."""

from __future__ import annotations

import random

import pytest

from easycluster_protocol._wire import messages as m
from easycluster_protocol._wire.link import CLIENT, SERVER, Link
from easycluster_protocol._wire.messages import Message
from easycluster_protocol.errors import RemoteProtocolError
from helpers.damage import DAMAGES, Damage
from helpers.pair import MODES, LinkPair, Mode, receive

#: In all 100,000.
CASES = 100_000 // (len(MODES) * len(DAMAGES) * 2)

CONVERSATIONS = {
    CLIENT: [
        Message(m.CALL, 1, b"body" * 20, -5, [b"buffer" * 9, b""], [1, 2, 3], [(4, 5), (6, 7)]),
        Message(m.PING, 3),
        Message(m.RELEASE, 0, releases=[(8, 9)] * 10),
        Message(m.CALL, 2, b"x" * 300),
        Message(m.CANCEL, 1),
    ],
    SERVER: [
        Message(m.RESULT, 1, b"value", -5, [bytes(200)], range(9)),
        Message(m.PONG, 3),
        Message(m.FAILURE, 2, b"failure" * 20),
    ],
}


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
@pytest.mark.parametrize("role", [CLIENT, SERVER])
@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
def test_damaged_bytes(mode: Mode, role: str, damage: Damage) -> None:
    """Damaged bytes raise `RemoteProtocolError` and nothing else; with a key, whatever is delivered was said."""
    pair = LinkPair(mode)
    sender, other = (pair.client, pair.server) if role == CLIENT else (pair.server, pair.client)
    said = CONVERSATIONS[role]
    data = b"".join(map(sender.data_to_send, said))
    chance = random.Random(f"{role} {damage.__name__}")
    refused = 0
    for _ in range(CASES):
        damaged = damage(data, chance)
        heard: list[Message] = []
        link = Link(other.role, other.agreement)
        try:
            for begin in range(0, len(damaged), 100):
                heard += receive(link, damaged[begin : begin + 100])
        except RemoteProtocolError:
            refused += 1
        if mode.key is not None:
            assert heard == said[: len(heard)]
    assert refused or damage in DAMAGES[:1]
