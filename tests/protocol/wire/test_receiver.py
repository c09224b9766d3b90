from __future__ import annotations

import tracemalloc
from collections.abc import Sequence

import pytest
from hypothesis import example, given, strategies as st

from easycluster_protocol._limits import MAX_FRAME_BYTES
from easycluster_protocol._types import Buffer
from easycluster_protocol._wire import (
    frame_reader,
    frames,
    messages as m,
    streams,
)
from easycluster_protocol._wire.authenticator import Authenticator
from easycluster_protocol._wire.link import CLIENT, OPEN, TRANSITIONS
from easycluster_protocol._wire.messages import HEAD_SIZE, Message, pack_head
from easycluster_protocol._wire.receiver import Receiver
from easycluster_protocol._wire.sender import seal
from easycluster_protocol.errors import RemoteProtocolError
from helpers.pair import FUZZ, KEY, SIZES, messages_of, pieces, take_in
from helpers.states import received_to_their_place

CALLS = messages_of("client")


class Writer:
    """Writes frames as a peer does that may do anything.

    Args:
        key: the key of a keyed connection.
        compress: whether to compress.
    """

    def __init__(self, key: bytes | None = None, compress: bool = False) -> None:
        self._authenticator = None if key is None else Authenticator(key)
        self._compress = compress
        self._sequence = 0

    def frame(self, kind: int, stream: int = 0, payload: Buffer = b"") -> bytes:
        """The next frame of the connection."""
        parts = seal(self._authenticator, self._sequence, kind, stream, payload, self._compress)
        self._sequence += 1
        return b"".join(parts)

    def messages(self, *messages: Message) -> bytes:
        """Small messages, all in one frame."""
        return self.frame(frames.MESSAGES, 0, b"".join(pack_head(each) + each.body for each in messages))

    def begin(self, stream: int, message: Message) -> bytes:
        """The begin of a large message."""
        return self.frame(frames.BEGIN, stream, pack_head(message))

    def data(self, stream: int, payload: Buffer) -> bytes:
        """A piece of a large message."""
        return self.frame(frames.DATA, stream, payload)

    def abort(self, stream: int) -> bytes:
        """The end of a large message that is not whole."""
        return self.frame(frames.ABORT, stream)


def make_receiver(key: bytes | None = None, compress: bool = False) -> Receiver:
    """A receiver of what `Writer` writes."""
    return Receiver(TRANSITIONS[CLIENT], OPEN, None if key is None else Authenticator(key), compress)


def drain(receiver: Receiver) -> list[Message]:
    """The messages that have arrived whole."""
    found: list[Message] = []
    receiver.deliver(found.append)
    return found


def receive(receiver: Receiver, data: bytes, sizes: Sequence[int] = ()) -> list[Message]:
    """The messages in these bytes, handed over in pieces."""
    found = []
    for piece in pieces(data, sizes):
        receiver.receive_data(piece)
        found += drain(receiver)
    return found


# What arrives.


@pytest.mark.parametrize("key", [None, KEY], ids=["private", "keyed"])
@FUZZ
@given(messages=st.lists(CALLS, max_size=5), sizes=SIZES)
def test_several_messages_in_one_frame(key: bytes | None, messages: list[Message], sizes: list[int]) -> None:
    """A frame may hold any number of messages without buffers; they arrive in order."""
    for message in messages:
        message.buffers = ()
    if not messages:
        return

    assert receive(make_receiver(key), Writer(key).messages(*messages), sizes) == messages


def test_a_message_stays_until_it_is_dealt_with() -> None:
    """The same message is returned again until the receiver is told to go on."""
    receiver = make_receiver()
    receiver.receive_data(Writer().messages(Message(m.PING, 1), Message(m.PING, 2)))

    first = receiver.next_message()
    assert receiver.next_message() is first
    receiver.advance()
    second = receiver.next_message()

    assert first == Message(m.PING, 1)
    assert second == Message(m.PING, 2)
    receiver.advance()
    assert receiver.next_message() is None


def test_nothing_to_deal_with() -> None:
    """Going on when no message is there does nothing, and one may be there: the caller, who may have been interrupted
    when it went on, looks before it receives."""
    receiver = make_receiver()
    receiver.receive_data(Writer().messages(Message(m.PING, 1)))

    assert receiver.advance() is True

    assert drain(receiver) == [Message(m.PING, 1)]
    assert receiver.is_between_frames


@pytest.mark.parametrize("together", [True, False])
def test_bytes_after_the_last_frame(together: bool) -> None:
    """What comes after the last frame, and is too short for one, can be read."""
    writer, receiver = Writer(KEY), make_receiver(KEY)
    frame, words = writer.messages(Message(m.PING, 1), Message(m.PING, 2)), b"x" * 31
    for data in [frame + words] if together else [frame, words[:10], words[10:]]:
        receiver.receive_data(data)
        drain(receiver)

    assert receiver.unread == words


def test_delivery_tells_whether_there_was_a_message() -> None:
    """A delivery was one, also if the beginning of the next message came with the last."""
    writer, receiver = Writer(), make_receiver()
    first, second = writer.messages(Message(m.PING, 1)), writer.messages(Message(m.PING, 2))

    for data, delivered in ((first + second[:1], True), (second[1:-1], False), (second[-1:], True)):
        receiver.receive_data(data)
        assert receiver.deliver(lambda message: None) is delivered


@pytest.mark.parametrize("size", [1, 10, 100, 1000, 20_000])
def test_bytes_that_come_before_a_message_is_dealt_with(size: int) -> None:
    """Bytes that are received while a message has not been dealt with are not lost: a caller that was interrupted
    may read on first."""
    writer, receiver = Writer(), make_receiver()
    message = Message(m.CALL, 1, b"body" * 10_000)
    data = writer.messages(Message(m.PING, 1)) + writer.begin(7, message) + writer.data(7, message.body)
    position = take_in(receiver, data[:60])
    assert receiver.next_message() == Message(m.PING, 1)

    position += take_in(receiver, data[position : position + size])
    assert receiver.next_message() == Message(m.PING, 1)
    while position < len(data):
        receiver.advance()
        assert position == len(data) or receiver.next_message() is None
        position += take_in(receiver, data[position:])

    assert drain(receiver) == [message]
    assert receiver.is_between_frames


@pytest.mark.parametrize("key", [None, KEY], ids=["private", "keyed"])
@pytest.mark.parametrize("size", [1, 10, 100, 20_000])
def test_bytes_that_come_before_a_message_has_been_delivered(key: bytes | None, size: int) -> None:
    """The same where the message came alone, and its delivery was interrupted."""
    writer, receiver = Writer(key), make_receiver(key)
    first, second = Message(m.PING, 1), Message(m.CALL, 1, b"body" * 10_000)
    take_in(receiver, writer.messages(first))
    with pytest.raises(ZeroDivisionError):
        receiver.deliver(lambda message: 1 // 0)
    data = writer.messages(Message(m.PING, 2)) + writer.begin(7, second) + writer.data(7, second.body)

    found: list[Message] = []
    position = 0
    while position < len(data):
        position += take_in(receiver, data[position : position + size])
        receiver.deliver(found.append)

    assert found == [first, Message(m.PING, 2), second]
    assert receiver.is_between_frames


@pytest.mark.parametrize("key", [None, KEY], ids=["private", "keyed"])
def test_what_was_not_taken_is_delivered_again(key: bytes | None) -> None:
    """A message whose taker raised comes again, and the next delivery begins with it; then it is over."""
    writer, receiver = Writer(key), make_receiver(key)
    for messages in ([Message(m.PING, 1)], [Message(m.PING, 2), Message(m.CALL, 3, b"", 0, (), [4])]):
        take_in(receiver, writer.messages(*messages))
        for _ in range(2):
            with pytest.raises(ZeroDivisionError):
                receiver.deliver(lambda message: 1 // 0)

        assert drain(receiver) == messages
        assert not receiver.deliver(print)
        assert receiver.is_between_frames


@pytest.mark.parametrize("key", [None, KEY], ids=["private", "keyed"])
@FUZZ
@given(CALLS, st.binary(max_size=3))
def test_the_short_way_reads_the_same(key: bytes | None, message: Message, rest: bytes) -> None:
    """A message that comes alone and in one piece is what it is in pieces, and an error is the same error, also
    where the frame holds a few bytes more than the message."""
    message.buffers = ()
    outcomes: list[object] = []
    for sizes in ((), (7,)):
        data = Writer(key).frame(frames.MESSAGES, 0, pack_head(message) + message.body + rest)
        try:
            outcomes.append(receive(make_receiver(key), data, sizes))
        except RemoteProtocolError as error:
            outcomes.append(str(error))

    assert outcomes[0] == outcomes[1]
    assert rest or outcomes[0] == [message]


@pytest.mark.parametrize("key", [None, KEY], ids=["private", "keyed"])
@FUZZ
@given(st.binary(max_size=HEAD_SIZE + 20))
def test_the_short_way_refuses_the_same(key: bytes | None, payload: bytes) -> None:
    """A frame that holds anything at all is refused or taken alone as it is in pieces."""
    outcomes: list[object] = []
    for sizes in ((), (7,)):
        try:
            outcomes.append(
                receive(make_receiver(key), Writer(key).frame(frames.MESSAGES, 0, payload), sizes)
            )
        except RemoteProtocolError as error:
            outcomes.append(str(error))

    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize("bit", range(8 * frames.HEADER_SIZE))
def test_the_short_way_looks_at_the_whole_header(bit: int) -> None:
    """No bit of the header of a message that comes alone can be flipped unnoticed."""
    receiver = make_receiver()
    data = bytearray(Writer().messages(Message(m.CALL, 1, b"body")))
    data[bit // 8] ^= 1 << bit % 8

    with pytest.raises(RemoteProtocolError, match="not a frame"):
        receive(receiver, bytes(data))


def test_advance_tells_whether_there_is_more() -> None:
    """A caller that is told that nothing more is there may go and receive."""
    writer, receiver = Writer(), make_receiver()
    for data, expected in [
        (writer.messages(Message(m.PING, 1)), False),
        (writer.messages(Message(m.PING, 2)) + b"\1", True),
    ]:
        receiver.receive_data(data)
        assert receiver.next_message() is not None
        assert receiver.advance() is expected

    receiver = make_receiver()
    receiver.receive_data(Writer().messages(Message(m.PING, 1)))
    assert receiver.next_message() is not None
    receiver.inbox.append(b"more")
    assert receiver.advance() is True


@pytest.mark.parametrize("key", [None, KEY], ids=["private", "keyed"])
@FUZZ
@given(sizes=SIZES, direct_from=st.integers(1, 400))
def test_large_messages_take_turns(key: bytes | None, sizes: list[int], direct_from: int) -> None:
    """Large messages whose frames take turns, with small ones between, arrive whole, whether their bytes are
    received to their place or by way of the inbox."""
    writer, receiver = Writer(key), make_receiver(key)
    one = Message(m.CALL, 1, b"a" * 700, 3, [b"b" * 300, b"", b"c"], [4], [(5, 6)])
    two = Message(m.CALL, 2, b"", 0, [b"d" * 500])
    three = Message(m.CALL, 3, b"", 0, [b""])
    data = b"".join(
        [
            writer.begin(1, one),
            writer.data(1, one.body[:300]),
            writer.begin(2, two),
            writer.data(2, two.buffers[0][:499]),
            writer.messages(Message(m.PING, 9)),
            writer.data(1, one.body[300:]),
            writer.data(1, one.buffers[0]),
            writer.data(2, two.buffers[0][499:]),
            writer.begin(2, three),
            writer.data(1, one.buffers[2]),
        ]
    )
    with received_to_their_place(direct_from):
        found = receive(receiver, data, sizes)

    assert found == [Message(m.PING, 9), two, three, one]
    assert receiver.is_between_frames


def test_direct_reception() -> None:
    """Once the head of a large frame has come, the rest of it is received directly to its place, and further
    bytes wait in the inbox."""
    writer, receiver = Writer(), make_receiver()
    body = bytes(range(256)) * 400
    begin, data = writer.begin(1, Message(m.CALL, 1, body)), writer.data(1, body)
    receiver.inbox.append(begin + data[:116])
    assert receiver.next_message() is None

    assert receiver.direct is not None
    view, counts = receiver.direct
    assert len(view) == len(body) - 100
    view[:50] = body[100:150]
    counts.append(50)
    assert receiver.next_message() is None
    view, counts = receiver.direct
    view[:] = body[150:]
    counts.append(len(view))
    assert receiver.direct is None
    receiver.inbox.append(writer.messages(Message(m.PING)))

    assert drain(receiver) == [Message(m.CALL, 1, body), Message(m.PING)]


def test_many_tiny_pieces() -> None:
    """The cost of one direct reception does not grow with the number of earlier ones."""
    writer, receiver = Writer(KEY), make_receiver(KEY)
    body = bytes(range(256)) * 100
    data = writer.begin(1, Message(m.CALL, 1, body)) + writer.data(1, body)
    position = take_in(receiver, data[:1000])
    assert receiver.next_message() is None
    for _ in range(300):
        position += take_in(receiver, data[position : position + 3])
        position += take_in(receiver, data[position : position + 3])
        assert receiver.next_message() is None
        assert receiver.direct is not None
        assert receiver.direct[1] == []

    assert position == 1000 + 300 * 2 * 3
    assert receive(receiver, data[position:]) == [Message(m.CALL, 1, body)]


@pytest.mark.parametrize("size", [10, 1000, 20_000])
def test_messages_without_memory(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A message for which there is no memory arrives damaged; those around it arrive whole."""

    def allocate(size: int, sparing: bool) -> memoryview:
        raise MemoryError

    monkeypatch.setattr(streams, "allocate", allocate)
    writer, receiver = Writer(), make_receiver()
    data = b"".join(
        [
            writer.begin(1, Message(m.CALL, 1, b"a" * 50_000, 7, [b"b"])),
            writer.data(1, b"a" * 50_000),
            writer.messages(Message(m.PING, 2)),
            writer.data(1, b"b"),
            writer.messages(Message(m.PING, 3)),
        ]
    )

    first, damaged, last = receive(receiver, data, [size])

    assert [first, last] == [Message(m.PING, 2), Message(m.PING, 3)]
    assert (damaged.request, damaged.thread) == (1, 7)
    assert damaged.damage == "there is no memory for 50000 bytes"


def test_aborted_messages_are_forgotten() -> None:
    """A message that is aborted never arrives, its number can be used again, and nothing is left of it."""
    writer, receiver = Writer(), make_receiver()
    whole = Message(m.CALL, 2, b"bb")
    data = b"".join(
        [
            writer.begin(1, Message(m.CALL, 1, b"aa")),
            writer.data(1, b"a"),
            writer.abort(1),
            writer.abort(1),
            writer.abort(99),
            writer.begin(1, whole),
            writer.data(1, b"bb"),
        ]
    )

    assert receive(receiver, data) == [whole]
    assert receiver.is_between_frames


# What is refused.


def test_a_number_that_is_in_use() -> None:
    """A second message cannot begin under the number of one that is under way."""
    writer, receiver = Writer(), make_receiver()
    receive(receiver, writer.begin(1, Message(m.CALL, 1, b"aa")))

    with pytest.raises(RemoteProtocolError, match="began message 1 twice"):
        receive(receiver, writer.begin(1, Message(m.CALL, 2, b"bb")))


def test_a_message_that_never_began() -> None:
    """A piece of a message that did not begin, or is whole already, is refused."""
    writer, receiver = Writer(), make_receiver()
    receive(receiver, writer.begin(1, Message(m.CALL, 1, b"a")) + writer.data(1, b"a"))

    with pytest.raises(RemoteProtocolError, match="went on with message 1, which it never began"):
        receive(receiver, writer.data(1, b"a"))
    with pytest.raises(RemoteProtocolError, match="went on with message 5"):
        receive(make_receiver(), Writer().data(5, b"a" * 100_000)[:50])


def test_too_many_messages_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No more large messages can be under way than the limit, and as many can."""
    monkeypatch.setattr(frame_reader, "MAX_STREAMS", 300)
    writer, receiver = Writer(), make_receiver()
    for number in range(300):
        receive(receiver, writer.begin(number, Message(m.CALL, number, b"a")))
    assert len(receive(receiver, writer.data(1, b"a"))) == 1
    receive(receiver, writer.begin(300, Message(m.CALL, 300, b"a")))

    with pytest.raises(RemoteProtocolError, match="more than 300 large messages at once"):
        receive(receiver, writer.begin(301, Message(m.CALL, 301, b"a")))


HEAD = pack_head(Message(m.CALL, 1, b"body"))
WITHOUT_ITS_TABLE = pack_head(Message(m.CALL, 1, references=[7]))[:HEAD_SIZE]


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        HEAD,
        HEAD + b"bod",
        HEAD + b"body!",
        HEAD + b"body" + HEAD + b"bod",
        pack_head(Message(m.CALL, 1, b"", buffers=[b""])),
        pack_head(Message(m.CALL, 1, b"", buffers=[b"abc"])) + b"abc",
        HEAD + b"body" + pack_head(Message(m.CALL, 1, b"", buffers=[b"abc"])) + b"abc",
        WITHOUT_ITS_TABLE,
    ],
    ids=[
        "empty",
        "no body",
        "short",
        "long",
        "second short",
        "no buffers",
        "buffers",
        "buffers in the second",
        "no table",
    ],
)
def test_messages_that_do_not_fit_their_frame(payload: bytes) -> None:
    """A frame of small messages holds whole messages without buffers, and nothing else."""
    with pytest.raises(RemoteProtocolError):
        receive(make_receiver(), Writer().frame(frames.MESSAGES, 0, payload))


def test_compression_that_was_not_agreed() -> None:
    """A compressed frame on a connection that is not compressed is refused."""
    data = Writer(compress=True).messages(Message(m.CALL, 1, b"x" * 10_000))

    with pytest.raises(RemoteProtocolError, match="compressed a frame although that was not agreed"):
        receive(make_receiver(), data)


def test_an_error_comes_again() -> None:
    """A receiver that refused something goes on refusing, whatever comes afterwards."""
    receiver = make_receiver()
    for _ in range(3):
        with pytest.raises(RemoteProtocolError, match="not a frame: b'junk"):
            receive(receiver, b"junk" * 10)


def test_messages_before_an_error_arrive() -> None:
    """Messages that were complete before the peer broke the rules are delivered."""
    receiver = make_receiver()
    receiver.receive_data(Writer().messages(Message(m.PING, 1)) + bytes(16))

    assert receiver.next_message() == Message(m.PING, 1)
    receiver.advance()
    with pytest.raises(RemoteProtocolError):
        receiver.next_message()


# Keyed connections.


def three_frames() -> list[bytes]:
    """Three frames of a keyed connection, each of them one message."""
    writer = Writer(KEY)
    return [writer.messages(Message(m.PING, number)) for number in range(3)]


@pytest.mark.parametrize(
    ("order", "arrives"),
    [
        ([0, 1, 2], 3),
        ([0, 0], 1),
        ([0, 1, 0], 2),
        ([1], 0),
        ([0, 2], 1),
        ([1, 0, 2], 0),
        ([2, 1, 0], 0),
    ],
)
def test_order_of_frames(order: list[int], arrives: int) -> None:
    """Frames that are repeated, left out or exchanged are refused where that begins."""
    sent = three_frames()
    receiver = make_receiver(KEY)
    found: list[Message] = []
    try:
        for index in order:
            found += receive(receiver, sent[index])
    except RemoteProtocolError as error:
        assert str(error).startswith(f"frame {arrives} was not sent by the holder of the key")
        assert arrives < 3
    else:
        assert arrives == 3

    assert found == [Message(m.PING, number) for number in range(arrives)]


@pytest.mark.parametrize("direct_from", [1, 10_000])
@pytest.mark.parametrize("place", [40, -1])
def test_changed_bytes_of_large_messages(direct_from: int, place: int) -> None:
    """A byte that is changed is noticed also where bytes are received straight to their place."""
    writer, receiver = Writer(KEY), make_receiver(KEY)
    receive(receiver, writer.begin(1, Message(m.CALL, 1, b"a" * 300)))
    data = bytearray(writer.data(1, b"a" * 300))
    data[place] ^= 1

    with (
        received_to_their_place(direct_from),
        pytest.raises(RemoteProtocolError, match="frame 1 was not sent by the holder of the key"),
    ):
        receive(receiver, bytes(data), [33])


def test_a_private_peer_is_refused() -> None:
    """Frames without tags are no frames of a keyed connection."""
    with pytest.raises(RemoteProtocolError, match="frame 0 was not sent by the holder"):
        receive(make_receiver(KEY), Writer().messages(Message(m.PING)) * 2)


def test_nothing_is_allocated_for_forged_frames() -> None:
    """A peer without the key makes a keyed receiver hold no more than one frame, whatever lengths it claims."""
    receiver = make_receiver(KEY)
    piece = bytes(60_000)
    tracemalloc.start()
    try:
        assert receive(receiver, frames.pack_header(frames.BEGIN, 0, 1, MAX_FRAME_BYTES)) == []
        with pytest.raises(RemoteProtocolError, match="frame 0 was not sent"):
            while True:
                receive(receiver, piece)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 2.5 * MAX_FRAME_BYTES  # the pieces, and the frame that they are joined to


# The end of the stream.


@pytest.mark.parametrize("key", [None, KEY], ids=["private", "keyed"])
def test_truncation(key: bytes | None) -> None:
    """A stream that ends anywhere but between two frames, or within a large message, is told from one that
    ends in order; what was whole has arrived."""
    writer = Writer(key)
    large = Message(m.CALL, 2, b"a" * 20_000)
    parts = [
        writer.messages(Message(m.PING, 1)),
        writer.begin(1, large),
        writer.data(1, large.body[:19_900]),
        writer.data(1, large.body[19_900:]),
        writer.messages(Message(m.PING, 3)),
    ]
    data = b"".join(parts)
    orderly = {0, len(parts[0]), len(data) - len(parts[-1]), len(data)}
    places = {*range(200), *range(20_050, len(data) + 1)}

    for size in sorted(places):
        receiver = make_receiver(key)
        found = receive(receiver, data[:size], [50])

        assert receiver.is_between_frames is (size in orderly), size
        expected = [Message(m.PING, 1), large, Message(m.PING, 3)]
        assert found == expected[: sum(size >= end for end in sorted(orderly)[1:])]


def test_the_empty_read_at_the_end() -> None:
    """The empty bytes by which a transport learns of the end change nothing."""
    receiver = make_receiver()
    receiver.inbox.append(b"")

    assert receiver.next_message() is None
    assert receiver.is_between_frames


# Any bytes.


@st.composite
def streams_of_frames(draw: st.DrawFn, key: bytes | None) -> bytes:
    """Frames with good headers and tags in any order, and perhaps something that is not a frame."""
    writer = Writer(key, draw(st.booleans()))
    envelopes = CALLS.map(pack_head) | st.binary(max_size=60)
    parts = []
    for _ in range(draw(st.integers(0, 8))):
        kind = draw(st.sampled_from([*frames.KIND_NAMES, 0]))
        if kind == 0:
            parts.append(draw(st.binary(max_size=40)))
        elif kind == frames.MESSAGES:
            messages = draw(st.lists(CALLS, max_size=3))
            parts.append(
                writer.frame(kind, 0, b"".join(pack_head(each) + bytes(each.body) for each in messages))
            )
        elif kind == frames.BEGIN:
            parts.append(writer.frame(kind, draw(st.integers(0, 2)), draw(envelopes)))
        else:
            parts.append(writer.frame(kind, draw(st.integers(0, 2)), draw(st.binary(max_size=300))))
    return b"".join(parts)


@pytest.mark.parametrize("key", [None, KEY], ids=["private", "keyed"])
@FUZZ
@example(b"\x01\x00\x00\x00\x10" + bytes(16), [], False)
@given(
    data=streams_of_frames(None) | streams_of_frames(KEY) | st.binary(), sizes=SIZES, compress=st.booleans()
)
def test_any_bytes_are_taken_or_refused(
    key: bytes | None, data: bytes, sizes: list[int], compress: bool
) -> None:
    """Any bytes are taken in, or refused by a protocol error, the same in pieces as at once."""
    outcomes = []
    with received_to_their_place(20), pytest.MonkeyPatch.context() as patch:
        patch.setattr(streams, "allocate", allocate_little)
        for cuts in (sizes, []):
            found: list[Message] = []
            error = None
            receiver = make_receiver(key, compress)
            try:
                for piece in pieces(data, cuts):
                    receiver.receive_data(piece)
                    receiver.deliver(found.append)
            except RemoteProtocolError as caught:
                error = str(caught)
            outcomes.append((found, error is None))

    assert outcomes[0] == outcomes[1]


def allocate_little(size: int, sparing: bool = False) -> memoryview:
    """Stands for the memory of a small machine: lengths that nobody authenticated may be huge."""
    if size > 10_000:
        raise MemoryError
    return memoryview(bytearray(size))
