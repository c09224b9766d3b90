from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from easycluster_protocol._wire import messages as m
from easycluster_protocol._wire.messages import Message
from easycluster_server._io.channel import Channel
from easycluster_server._io.transport import EndOfStream, SocketTransport
from helpers.checkpoints import Struck
from helpers.pair import MODES, LinkPair
from helpers.states import in_the_middle_of_sending, leak_send_lock
from helpers.threads import in_background
from helpers.waiting import PATIENCE, wait_until

SIZES = (0, 1, 1000, 70_000, 3_000_000)


class Ends:
    """Two channels that are connected.

    Args:
        mode: one of `MODES`.
        while_blocked: for the client's.
    """

    def __init__(self, mode: str = "private", while_blocked: Callable[[], None] | None = None) -> None:
        links = LinkPair(MODES[mode])
        ours, theirs = socket.socketpair()
        self.client = Channel(links.client, SocketTransport(ours), while_blocked)
        self.server = Channel(links.server, SocketTransport(theirs))
        self.received: list[Message] = []

    def receive(self, count: int) -> list[Message]:
        """Receive until so many messages have come to the server."""
        while len(self.received) < count:
            self.server.receive(self.received.append, True)
        return self.received

    def close(self) -> None:
        """Close both."""
        self.client.transport.close()
        self.server.transport.close()


@pytest.fixture
def connect() -> Iterator[Callable[..., Ends]]:
    """Makes connected channels."""
    made: list[Ends] = []

    def connect(*arguments: Any) -> Ends:
        made.append(Ends(*arguments))
        return made[-1]

    yield connect
    for ends in made:
        ends.close()


def call(number: int, size: int = 0) -> Message:
    """A message of a certain size."""
    return Message(m.CALL, number, bytes([number % 256]) * size)


def fill(channel: Channel) -> None:
    """Send messages of number 0 until the kernel takes nothing more."""
    sender = channel.link.sender
    while not sender.has_unsent:
        assert sender.commit_small(call(0, 60_000)) is not None
        while sender.has_unsent and channel.transport.send(sender.sent, sender.unsent(), False):
            pass


# Sending.


@pytest.mark.parametrize("mode", MODES)
def test_messages_arrive(connect: Callable[..., Ends], mode: str) -> None:
    """Messages of all sizes arrive whole and in order, with what travels beside them."""
    ends = connect(mode)
    messages = [call(number, size) for number, size in enumerate(SIZES)]
    messages.append(Message(m.CALL, 9, b"body", 3, [bytes(50_000), bytes(2_000_000)]))

    def send() -> None:
        for message in messages:
            ends.client.send(message)

    thread = in_background(send)
    received = ends.receive(len(messages))
    thread.join()

    assert received == messages


@pytest.mark.parametrize("mode", ["private", "keyed"])
def test_threads_send_at_once(connect: Callable[..., Ends], mode: str) -> None:
    """Messages of several threads arrive whole, those of each in its order."""
    ends = connect(mode)

    def send(first: int) -> None:
        for number in range(first, first + 20):
            ends.client.send(call(number, (number % 3) * 400_000))

    threads = [in_background(lambda first=first: send(first)) for first in (0, 100, 200)]  # type: ignore[misc]
    received = ends.receive(60)
    for thread in threads:
        thread.join()

    for first in (0, 100, 200):
        own = [message for message in received if first <= message.request < first + 20]
        assert own == [call(number, (number % 3) * 400_000) for number in range(first, first + 20)]


def test_small_messages_pass_large_ones(connect: Callable[..., Ends]) -> None:
    """A small message that is posted while a large one is under way arrives before that one's end."""
    ends = connect()
    thread = in_background(lambda: ends.client.send(call(1, 30_000_000)))
    wait_until(lambda: ends.client.link.sender.has_unsent)
    ends.client.post(Message(m.PING, 5))
    received = ends.receive(2)
    thread.join()

    assert [message.request for message in received] == [5, 1]


def test_sender_that_finds_no_room(connect: Callable[..., Ends]) -> None:
    """When the kernel takes nothing more the channel asks its owner to do something about it, again and again."""
    asked: list[int] = []

    def make_room() -> None:
        asked.append(len(ends.received))
        ends.server.receive(ends.received.append, True)

    ends = connect("private", make_room)
    ends.client.send(call(1, 5_000_000))
    ends.receive(1)

    assert len(asked) > 5


def test_send_at_once(connect: Callable[..., Ends]) -> None:
    """A message is sent at once or not at all: not when the kernel is full, nor while another thread sends."""
    ends = connect("private", lambda: None)
    first = ends.client.send_at_once(Message(m.PING, 1))
    with in_the_middle_of_sending(ends.client):
        inside = ends.client.send_at_once(Message(m.PING, 2))
        beside: list[bool] = []
        in_background(lambda: beside.append(ends.client.send_at_once(Message(m.PING, 3)))).join()
    fill(ends.client)

    assert (first, inside, beside) == (True, False, [False])
    assert not ends.client.send_at_once(Message(m.PING, 4))
    while ends.server.receive(ends.received.append, False):
        pass
    assert {message.request for message in ends.received} == {1, 0}


def test_posting_does_not_wait(connect: Callable[..., Ends]) -> None:
    """Who posts while another thread sends does not wait; the other one takes the message along."""
    ends = connect()
    with in_the_middle_of_sending(ends.client):
        in_background(lambda: ends.client.post(Message(m.PONG, 1))).join(PATIENCE)
        ends.client.post(Message(m.PONG, 2))  # as does a reader that was called by a sender
        before = list(ends.client._posted)
    ends.client.send(Message(m.PING, 3))

    assert len(before) == 2
    assert [message.request for message in ends.receive(3)] == [3, 1, 2]


def test_sending_over_a_broken_connection(connect: Callable[..., Ends]) -> None:
    """Sending raises when the other end has gone, and no lock stays taken."""
    ends = connect()
    ends.server.transport.close()
    for _ in range(2):
        with pytest.raises(OSError, match="Broken pipe"):
            ends.client.send(call(1))
        with pytest.raises(OSError, match="Broken pipe"):
            ends.client.post(Message(m.PING))


def read_some(ends: Ends) -> None:
    """Make room for a sender."""
    ends.server.receive(ends.received.append, False)


# Interrupts. The exhaustive tests are in test_session.py and in the integration tests.


def test_what_an_interrupted_sender_left_is_sent(connect: Callable[..., Ends]) -> None:
    """The rest of a frame whose sender was interrupted is sent by the next sender; its message is called off."""
    interrupts = [Struck()]

    def while_blocked() -> None:
        if interrupts:
            raise interrupts.pop()
        read_some(ends)

    ends = connect("keyed", while_blocked)
    with pytest.raises(Struck):
        ends.client.send(call(1, 10_000_000))
    ends.client.send(call(2))

    assert ends.receive(1) == [call(2)]
    assert not ends.server.link.receiver._reader.streams


def test_what_an_interrupted_reader_left_is_delivered(connect: Callable[..., Ends]) -> None:
    """Messages that arrived with one whose delivery was interrupted are delivered without reading again."""
    ends = connect()
    for number in range(3):
        ends.client.send(call(number))

    def interrupt(message: Message) -> None:
        raise Struck

    with pytest.raises(Struck):
        ends.server.receive(interrupt, True)
    assert ends.server.receive(ends.received.append, True)

    assert [message.request for message in ends.received] == [0, 1, 2]
    assert not ends.server.receive(ends.received.append, False)


def test_end_after_an_interrupt(connect: Callable[..., Ends]) -> None:
    """After an interrupt, what has arrived is delivered before the end of the stream is told."""
    ends = connect()
    ends.client.send(call(1))
    ends.client.transport.close()

    def interrupt(message: Message) -> None:
        raise Struck

    with pytest.raises(Struck):
        ends.server.receive(interrupt, True)
    ends.receive(1)
    with pytest.raises(EndOfStream):
        ends.server.receive(ends.received.append, True)

    assert ends.received == [call(1)]


def test_signal_handler_that_sends(connect: Callable[..., Ends]) -> None:
    """A handler that sends while its thread is in the middle of sending gets an error, and does not hang."""
    ends = connect()
    with in_the_middle_of_sending(ends.client), pytest.raises(RuntimeError, match="a signal handler"):
        ends.client.send(call(1))
    ends.client.send(call(2))

    assert ends.receive(1) == [call(2)]


def test_leaked_lock(connect: Callable[..., Ends]) -> None:
    """A lock that an interrupt left behind is given back by its thread, and only by that."""
    ends = connect()
    leak_send_lock(ends.client)
    in_background(ends.client.release_leaked).join()
    owned = ends.client._send_lock.is_mine()
    ends.client.release_leaked()
    ends.client.release_leaked()
    in_background(lambda: ends.client.send(call(1))).join()

    assert owned
    assert ends.receive(1) == [call(1)]
