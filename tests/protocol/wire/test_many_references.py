"""Answers that name more objects than the table of one message holds."""

from __future__ import annotations

import pytest

from easycluster_protocol._limits import MAX_TABLE_ENTRIES
from easycluster_protocol._wire import messages as m
from easycluster_protocol._wire.messages import Message
from helpers.pair import MODES, LinkPair, receive


@pytest.mark.parametrize("more", [1, MAX_TABLE_ENTRIES, MAX_TABLE_ENTRIES + 1])
@pytest.mark.parametrize("kind", [m.RESULT, m.FAILURE])
@pytest.mark.parametrize("size", [10, 100_000], ids=["small", "large"])
@pytest.mark.parametrize("mode", MODES)
def test_messages_ahead(mode: str, size: int, kind: int, more: int) -> None:
    """References that have no room go ahead of the answer, under the number of its call; the answer is otherwise unchanged."""
    pair = LinkPair(MODES[mode])
    named = list(range(1, MAX_TABLE_ENTRIES + more + 1))
    answer = Message(kind, 7, b"b" * size, 3, references=named)
    assert pair.server.sender.commit_small(answer) is None
    *ahead, last = receive(pair.client, pair.server.data_to_send(answer))

    assert {(each.kind, each.request, bytes(each.body)) for each in ahead} == {(m.REFERENCES, 7, b"")}
    assert [oid for each in (*ahead, last) for oid in each.references] == named
    assert (last.kind, last.request, last.thread, bytes(last.body)) == (kind, 7, 3, b"b" * size)
    assert max(len(each.references) for each in (*ahead, last)) <= MAX_TABLE_ENTRIES


def test_one_message_if_there_is_room() -> None:
    """An answer whose table is full to the last entry is one message."""
    pair = LinkPair()
    answer = Message(m.RESULT, 7, b"", references=range(MAX_TABLE_ENTRIES))

    assert len(receive(pair.client, pair.server.data_to_send(answer))) == 1
