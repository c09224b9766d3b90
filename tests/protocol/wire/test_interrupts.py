"""The law of receiver.py and sender.py: an exception may come between any two bytecodes.

Each scenario is played once for each of its bytecodes, with an exception before that one, and then goes on
as the channel that uses the protocol does. Every message must arrive, in order and unharmed; the one that
was being dealt with may be seen twice, because an interrupted reader repeats its last step.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import pytest

from easycluster_protocol._wire import frame_reader, frames, messages as m, receiver, sender as sender_module
from easycluster_protocol._wire.link import CLOSED, SERVER, Link
from easycluster_protocol._wire.messages import Message
from helpers.interrupts import Interrupted, Interrupter, every_interrupt
from helpers.pair import MODES, LinkPair, receive, take_in

pytestmark = pytest.mark.untraced

LARGE = Message(m.CALL, 2, b"0123456789" * 7, -3, [b"abcdefgh" * 10, b"", b"x" * 33], [1, 2], [(3, 4)])
OTHER_LARGE = Message(m.CALL, 3, b"", 5, [b"!" * 90])

SCENARIOS: dict[str, list[Message]] = {
    "small": [Message(m.PING, 1), Message(m.CALL, 2, b"body", 3, (), [4, 5], [(6, 7)]), Message(m.CLOSE, 8)],
    "large": [LARGE, Message(m.PING, 9)],
    "two large": [OTHER_LARGE, Message(m.CALL, 4, b"-" * 60, 6)],
}


@pytest.fixture(autouse=True)
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes messages of a few bytes go the ways of those of many MiB."""
    monkeypatch.setattr(sender_module, "MAX_SMALL_BODY", 50)
    monkeypatch.setattr(sender_module, "MAX_FRAME_BYTES", 64)
    monkeypatch.setattr(sender_module, "_KEYED_PIECE_BYTES", 64)
    monkeypatch.setattr(sender_module, "SMALL_MESSAGE_BYTES", 100)
    monkeypatch.setattr(receiver, "_MIN_DIRECT_BYTES", 20)
    monkeypatch.setattr(frame_reader, "_MIN_VIEW_BYTES", 45)
    monkeypatch.setattr(sender_module, "COMPRESS_FROM_BYTES", 40)


def snapshot(message: Message) -> tuple[Any, ...]:
    """All of a message, copied."""
    return message._fields()


def without_repetitions(found: Sequence[Any]) -> list[Any]:
    """The messages that are left when repetitions are taken for the same message."""
    return [each for index, each in enumerate(found) if not index or found[index - 1] != each]


# Receiving.


class Reader:
    """Receives as a channel does: it reads, delivers complete messages, and starts again when interrupted.

    Args:
        link: the link.
        data: what arrives.
        size: how much one reception takes.
        interrupter: interrupts it.
    """

    def __init__(self, link: Link, data: bytes, size: int, interrupter: Interrupter) -> None:
        self.delivered: list[Any] = []
        self._link = link
        self._data = data
        self._size = size
        self._interrupted = interrupter

    def run(self, read_first: bool) -> None:
        """Receive everything.

        Args:
            read_first: whether to read before anything else after an interrupt.
        """
        while True:
            try:
                self._deliver()
                if not self._data:
                    return
                self._read()
            except Interrupted:
                if read_first and self._data:
                    self._read()

    def _read(self) -> None:
        with self._interrupted:
            taken = take_in(self._link.receiver, self._data[: self._size])
        self._data = self._data[taken:]

    def _deliver(self) -> None:
        with self._interrupted:
            self._link.receiver.deliver(lambda message: self.delivered.append(snapshot(message)))


def check_reception(link: Link, data: bytes, expected: list[Message], size: int, read_first: bool) -> None:
    """Receive ``data`` once for each bytecode of that, interrupted before that one."""
    for interrupter in every_interrupt(30):
        fresh = Link(link.role, link.agreement)
        reader = Reader(fresh, data, size, interrupter)

        reader.run(read_first)

        assert without_repetitions(reader.delivered) == [snapshot(message) for message in expected]
        assert len(reader.delivered) <= len(expected) + 1
        assert fresh.receiver.is_between_frames
        assert (fresh.receiving == CLOSED) is (expected[-1].kind == m.CLOSE)


@pytest.mark.parametrize(
    ("size", "read_first"),
    [(45, False), (45, True), (1000, False)],
    ids=["in pieces", "in pieces, read first", "at once"],
)
@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("mode", ["private", "keyed"])
def test_receiving(mode: str, scenario: str, read_first: bool, size: int) -> None:
    """Wherever the interrupt comes while messages are received, each arrives complete, in order, and at the end
    nothing is left over."""
    pair = LinkPair(MODES[mode])
    messages = SCENARIOS[scenario]
    data = b"".join(map(pair.client.data_to_send, messages))

    check_reception(pair.server, data, messages, size, read_first)


@pytest.mark.parametrize("read_first", [False, True], ids=["", "read first"])
@pytest.mark.parametrize("mode", ["private", "keyed"])
def test_receiving_one_by_one(mode: str, read_first: bool) -> None:
    """The same where each message comes alone and in one piece, as mostly."""
    pair = LinkPair(MODES[mode])
    messages = [Message(m.PING, 1), Message(m.CANCEL, 2), Message(m.CLOSE, 3)]
    data = b"".join(map(pair.client.data_to_send, messages))

    check_reception(pair.server, data, messages, len(data) // len(messages), read_first)


@pytest.mark.parametrize("read_first", [False, True], ids=["", "read first"])
@pytest.mark.parametrize("mode", ["private", "keyed, compressed"])
def test_receiving_frames_of_every_kind(mode: str, read_first: bool) -> None:
    """The same with frames that a channel seldom sends: several messages in one, large messages that take
    turns, and some that are aborted."""
    pair = LinkPair(MODES[mode])
    pings = [Message(m.PING, number) for number in range(3)]
    several = b"".join(m.pack_head(ping) for ping in pings)
    one, two = Message(m.CALL, 11, b"a" * 70), Message(m.CALL, 12, b"b" * 5, 0, [b"c"])
    plans = [
        (frames.BEGIN, 1, m.pack_head(one)),
        (frames.DATA, 1, one.body[:30]),
        (frames.BEGIN, 2, m.pack_head(two)),
        (frames.MESSAGES, 0, several),
        (frames.DATA, 2, two.body),
        (frames.BEGIN, 3, m.pack_head(one)),
        (frames.DATA, 1, one.body[30:]),
        (frames.ABORT, 3, b""),
        (frames.DATA, 2, two.buffers[0]),
        (frames.BEGIN, 1, m.pack_head(Message(m.CALL, 13))),
    ]
    pair.client.sender.commit(plans)
    data = b"".join(pair.client.sender.unsent())

    check_reception(pair.server, data, [*pings, one, two, Message(m.CALL, 13)], 100, read_first)


# Sending.


class Writer:
    """Sends as a channel does, into a connection that takes a few bytes at a time.

    Args:
        link: the link.
        size: how many bytes the connection takes at a time.
        interrupter: interrupts it.

    Attributes:
        wire: what was sent.
    """

    def __init__(self, link: Link, size: int, interrupter: Interrupter) -> None:
        self.wire = bytearray()
        self._link = link
        self._sender = link.sender
        self._size = size
        self._interrupted = interrupter

    def send(self, message: Message) -> None:
        """Send a message."""
        with self._interrupted:
            committed = self._sender.commit_small(message)
        if committed is None:
            self._send_any(message)
            return
        buffers, total, sent, _ = committed
        sent.extend(map(self._take, (buffers,)))
        if sent != [total]:
            self._flush()

    def _send_any(self, message: Message) -> None:
        with self._interrupted:
            groups = iter(self._link.plan_frames(message))
        while True:
            with self._interrupted:
                plans = next(groups, None)
            if plans is None:
                return
            self._flush()
            with self._interrupted:
                self._sender.commit(plans)
            self._flush()

    def _flush(self) -> None:
        while True:
            with self._interrupted:
                buffers = self._sender.unsent()
            if not buffers:
                return
            self._transmit(buffers)

    def _transmit(self, buffers: list[Any]) -> None:
        with self._interrupted:
            sent = self._sender.sent
        sent.extend(map(self._take, (buffers,)))

    def _take(self, buffers: list[Any]) -> int:
        taken = b"".join(buffers)[: self._size]
        self.wire += taken
        return len(taken)


@pytest.mark.parametrize("again", [True, False], ids=["again", "given up"])
@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("mode", ["private", "keyed", "keyed, compressed"])
def test_sending(mode: str, scenario: str, again: bool) -> None:
    """Wherever the interrupt comes while messages are sent, the bytes make sense to the peer: all messages
    arrive in order, but for the interrupted one if its sender gave up, and nothing is left half sent."""
    pair = LinkPair(MODES[mode])
    messages = [message for message in SCENARIOS[scenario] if message.kind != m.CLOSE]
    last = Message(m.PING, 99)
    for interrupter in every_interrupt(30):
        client = Link(pair.client.role, pair.client.agreement)
        writer = Writer(client, 33, interrupter)
        given_up: list[Message] = []
        for message in messages:
            try:
                writer.send(message)
            except Interrupted:
                (writer.send if again else given_up.append)(message)
        try:
            writer.send(last)
        except Interrupted:
            writer.send(last)

        server = Link(SERVER, pair.server.agreement)
        found = without_repetitions(receive(server, bytes(writer.wire)))
        assert [message for message in found if message not in given_up] == [
            message for message in [*messages, last] if message not in given_up
        ]
        assert server.receiver.is_between_frames


def test_a_large_message_that_is_dropped_is_aborted() -> None:
    """A sender that stops in the middle of a large message tells the peer, with whatever is sent next."""
    pair = LinkPair()
    sender = pair.client.sender
    wire = b""
    plans = iter(pair.client.plan_frames(LARGE))
    sender.commit(next(plans))
    wire += b"".join(sender.unsent())
    sender.sent.append(len(wire))
    del plans

    wire += pair.client.data_to_send(Message(m.PING, 1))

    assert receive(pair.server, wire) == [Message(m.PING, 1)]
    assert pair.server.receiver.is_between_frames


def test_interrupters_strike_every_bytecode() -> None:
    """The tool of these tests works: it strikes once in each place, and at last nowhere."""
    places = set()
    for interrupter in every_interrupt(2):
        try:
            with interrupter:
                functools.reduce(lambda before, data: before + frames.count_bytes(data), [[b"a"], [b"b"]], 0)
        except Interrupted as error:
            places.add(str(error))

    assert {place.split(",")[0] for place in places} == {"in count_bytes"}
