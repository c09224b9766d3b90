from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given

from easycluster_protocol._limits import COMPRESS_FROM_BYTES, MAX_FRAME_BYTES, SMALL_MESSAGE_BYTES
from easycluster_protocol._wire import frames, messages as m, sender as sender_module
from easycluster_protocol._wire.authenticator import Authenticator
from easycluster_protocol._wire.messages import KIND_NAMES, Message, pack_head
from easycluster_protocol._wire.sender import Sender, seal
from easycluster_protocol.errors import LocalProtocolError
from helpers.pair import FUZZ, KEY, messages_of
from helpers.states import number_next_stream

PREFIX = frames.HEADER_SIZE


def new_sender(key: bytes | None = None, compress: bool = False) -> Sender:
    """A sender that may send everything."""
    sender = Sender(None if key is None else Authenticator(key), compress)
    if not compress:
        sender.plain_kinds = frozenset(KIND_NAMES)
    return sender


def take(sender: Sender, size: int) -> bytes:
    """Send at most so many bytes of what is committed, and note them as a transport does."""
    data = b"".join(sender.unsent())[:size]
    sender.sent.append(len(data))
    return data


def frames_in(data: bytes, tags: int = 0) -> list[tuple[int, int, int, bytes]]:
    """Kind, flags, stream and payload of each frame."""
    found = []
    while data:
        kind, flags, stream, length = frames.parse_header(data[:PREFIX])
        start = PREFIX + tags
        found.append((kind, flags, stream, data[start : start + length]))
        data = data[start + length :]
    return found


def sent(sender: Sender, message: Message, tags: int = 0) -> list[tuple[int, int, int, bytes]]:
    """The frames in which a message is sent."""
    return frames_in(sender.data_to_send(message), tags)


def groups(sender: Sender, message: Message) -> list[list[tuple[int, int]]]:
    """Kind and size of payload of the frames of a message, in the groups that are committed at once."""
    return [[(kind, len(payload)) for kind, _, payload in group] for group in sender.plan_frames(message)]


# Frames of messages.


def test_a_small_message_is_one_frame() -> None:
    """A small message travels whole, envelope and body in one frame."""
    message = Message(m.CALL, 7, b"body", 3, references=[1], releases=[(2, 3)])

    assert sent(Sender(), message) == [(frames.MESSAGES, 0, 0, pack_head(message) + b"body")]


@pytest.mark.parametrize(
    ("size", "buffers", "kinds"),
    [
        (sender_module.MAX_SMALL_BODY, 0, [frames.MESSAGES]),
        (sender_module.MAX_SMALL_BODY + 1, 0, [frames.BEGIN, frames.DATA]),
        (0, 1, [frames.BEGIN, frames.DATA]),
        (5, 2, [frames.BEGIN, frames.DATA, frames.DATA, frames.DATA]),
    ],
)
def test_large_messages_have_frames_of_their_own(size: int, buffers: int, kinds: list[int]) -> None:
    """A message whose body is large, or that has buffers, begins with its envelope and goes on in pieces."""
    message = Message(m.CALL, 7, bytes(size), 0, [b"buffer"] * buffers)

    assert [kind for kind, _, _, _ in sent(Sender(), message)] == kinds


def test_pieces_on_private_connections() -> None:
    """On private connections a piece fills a frame, and only the envelope goes with the first."""
    message = Message(m.CALL, 1, bytes(MAX_FRAME_BYTES + 10), 0, [bytes(5), b"", bytes(2 * MAX_FRAME_BYTES)])

    assert groups(Sender(), message) == [
        [(frames.BEGIN, len(pack_head(message)))],
        [(frames.DATA, MAX_FRAME_BYTES)],
        [(frames.DATA, 10), (frames.DATA, 5)],
        [(frames.DATA, MAX_FRAME_BYTES)],
        [(frames.DATA, MAX_FRAME_BYTES)],
    ]


def test_pieces_on_keyed_connections() -> None:
    """On keyed connections pieces are smaller, because they are copied."""
    piece = sender_module._KEYED_PIECE_BYTES
    message = Message(m.CALL, 1, bytes(piece + 10))

    assert groups(Sender(Authenticator(KEY)), message) == [
        [(frames.BEGIN, len(pack_head(message)))],
        [(frames.DATA, piece)],
        [(frames.DATA, 10)],
    ]


def test_groups_are_filled() -> None:
    """What is committed at once is as large as a frame may be, to the last byte, and no larger."""
    head = len(pack_head(Message(m.CALL, 1)))
    rest = MAX_FRAME_BYTES - head

    assert groups(Sender(), Message(m.CALL, 1, bytes(rest))) == [[(frames.BEGIN, head), (frames.DATA, rest)]]
    assert groups(Sender(), Message(m.CALL, 1, bytes(rest + 1))) == [
        [(frames.BEGIN, head)],
        [(frames.DATA, rest + 1)],
    ]


def test_all_at_once_is_all() -> None:
    """When the bytes of a large message have been asked for at once, nothing of it is left to send."""
    sender = new_sender()
    sender.data_to_send(Message(m.CALL, 1, bytes(MAX_FRAME_BYTES + 10)))

    assert not sender.has_unsent
    assert sender.unsent() == []
    assert sender.commit_small(Message(m.PING)) is not None


def test_each_large_message_has_a_number() -> None:
    """Large messages are numbered from 1; the number on the wire starts again after 32 bits."""
    sender = Sender()
    message = Message(m.CALL, 1, b"", 0, [b"b"])

    assert {stream for _, _, stream, _ in sent(sender, message)} == {1}
    assert {stream for _, _, stream, _ in sent(sender, message)} == {2}
    number_next_stream(sender, 2**32 - 1)
    assert {stream for _, _, stream, _ in sent(sender, message)} == {2**32 - 1}
    assert {stream for _, _, stream, _ in sent(sender, message)} == {0}


@FUZZ
@given(messages_of("client"))
def test_tags_of_keyed_connections(message: Message) -> None:
    """Each frame has a tag over its number, its header and its payload."""
    authenticator = Authenticator(KEY)
    sender = Sender(authenticator)
    data = sender.data_to_send(Message(m.PING)) + sender.data_to_send(message)

    for sequence in itertools.count():
        if not data:
            break
        _, _, _, length = frames.parse_header(data[:PREFIX])
        start, end = PREFIX + frames.TAG_SIZE, PREFIX + frames.TAG_SIZE + length
        authenticator.check(sequence, data[:PREFIX], data[start:end], data[PREFIX:start])
        data = data[end:]
    assert sequence >= 2


def test_what_is_compressed() -> None:
    """With compression, frames large enough are compressed, whatever they hold."""
    sender = Sender(compress=True)

    assert [flags for _, flags, _, _ in sent(sender, Message(m.PING))] == [0]
    assert [flags for _, flags, _, _ in sent(sender, Message(m.CALL, 1, bytes(5000)))] == [frames.COMPRESSED]
    assert [flags for _, flags, _, _ in sent(sender, Message(m.CALL, 1, bytes(10), 0, [bytes(50_000)]))] == [
        0,
        0,
        frames.COMPRESSED,
    ]


def test_fields_out_of_range() -> None:
    """A message that cannot be written fails before anything of it is sent, and the next one is sent."""
    sender = Sender()

    for message in (Message(m.CALL, -1), Message(m.CALL, -1, b"", 0, [b"b"])):
        with pytest.raises(LocalProtocolError, match="out of range"):
            sender.plan_frames(message)

    assert not sender.has_unsent
    assert len(sent(sender, Message(m.PING))) == 1


# What is committed and what is sent.


def test_nothing_to_send() -> None:
    """A new sender has nothing to send."""
    sender = Sender()

    assert sender.unsent() == []
    assert not sender.has_unsent


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize("body", [10, SMALL_MESSAGE_BYTES, 3 * SMALL_MESSAGE_BYTES])
@pytest.mark.parametrize("key", [None, KEY], ids=["private", "keyed"])
def test_what_was_sent_is_not_sent_again(key: bytes | None, body: int, size: int) -> None:
    """However little the connection takes at a time, each byte is sent once and in order."""
    size *= max(1, body // 1000)
    message = Message(m.CALL, 1, bytes(body), 0, [b"one", b"two"])
    authenticator = None if key is None else Authenticator(key)
    whole = Sender(authenticator).data_to_send(message)
    sender = Sender(authenticator)
    wire = b""
    for plans in sender.plan_frames(message):
        sender.commit(plans)
        while sender.has_unsent:
            wire += take(sender, size)

    assert wire == whole
    assert sender.unsent() == []


def test_small_messages_wait_for_what_was_committed() -> None:
    """While something is committed and not sent, a small message is not committed, and nothing is lost."""
    sender = new_sender()
    (plans,) = sender.plan_frames(Message(m.PING, 1))
    sender.commit(plans)
    wire = take(sender, 5)

    assert sender.commit_small(Message(m.PING, 2)) is None
    wire += take(sender, 1000)
    assert sender.unsent() == []
    committed = sender.commit_small(Message(m.PING, 2))

    assert committed is not None
    assert committed[0] == sender.unsent()
    wire += take(sender, 1000)
    assert [payload for _, _, _, payload in frames_in(wire)] == [
        pack_head(Message(m.PING, 1)),
        pack_head(Message(m.PING, 2)),
    ]


def commit(sender: Sender, message: Message) -> bool:
    """Commit a message as channels do; return whether that was the short way."""
    if sender.commit_small(message) is not None:
        return True
    (plans,) = sender.plan_frames(message)
    sender.commit(plans)
    return False


@pytest.mark.parametrize("key", [None, KEY], ids=["private", "keyed"])
@pytest.mark.parametrize("compress", [False, True], ids=["", "compressed"])
def test_both_ways_to_commit_send_the_same(key: bytes | None, compress: bool) -> None:
    """The short way for small messages and the long one differ in nothing that is sent, and the short one is
    taken where nothing is compressed."""
    messages = [Message(m.PING, 1), Message(m.CALL, 2, b"x" * 2000, 3), Message(m.PONG, 4)]
    short, long = new_sender(key, compress), new_sender(key, compress)

    for message in messages:
        assert commit(short, message) is not compress
        assert take(short, 10_000) == long.data_to_send(message)
        assert short.unsent() == []


@pytest.mark.parametrize("key", [None, KEY], ids=["private", "keyed"])
@FUZZ
@given(messages_of("client") | messages_of("server"))
def test_the_short_way_sends_the_same(key: bytes | None, message: Message) -> None:
    """A message without tables is the same bytes on the short way; any other is left to the long way."""
    short, long = new_sender(key), new_sender(key)
    plain = not message.references and not message.releases and not message.buffers

    committed = short.commit_small(message)

    assert (committed is not None) is plain
    assert not plain or take(short, 100_000) == long.data_to_send(message)


@pytest.mark.parametrize("field", [{"request": -1}, {"request": 2**64}, {"thread": 2**63}, {"kind": 256}])
def test_the_short_way_commits_nothing_that_is_out_of_range(field: dict[str, Any]) -> None:
    """A message that cannot be written is left to the long way, which says what is wrong with it."""
    sender = new_sender()
    sender.plain_kinds |= {256}

    assert sender.commit_small(Message(**{"kind": m.CALL, **field})) is None
    assert not sender.has_unsent


def test_the_short_way_is_taken_again() -> None:
    """After a message that went the long way, and was sent in pieces, the short way is open again."""
    sender = new_sender()
    for plans in sender.plan_frames(Message(m.CALL, 1, bytes(3 * SMALL_MESSAGE_BYTES))):
        sender.commit(plans)
        while sender.unsent():
            take(sender, 50_000)

    assert sender.commit_small(Message(m.PING)) is not None


def test_a_short_message_sent_in_pieces() -> None:
    """When the connection takes little of a short message, the next one goes the long way and nothing is lost."""
    short, long = new_sender(), new_sender()
    first, second = Message(m.CALL, 1, b"x" * 100), Message(m.PING, 2)
    committed = short.commit_small(first)
    assert committed is not None
    wire = take(short, 10)

    assert short.commit_small(second) is None
    while short.unsent():
        wire += take(short, 50)
    assert short.commit_small(second) is not None

    assert wire + take(short, 1000) == long.data_to_send(first) + long.data_to_send(second)


def test_private_connections_lend_memory() -> None:
    """On private connections, large parts are sent from where they are, without a copy."""
    buffer = bytearray(SMALL_MESSAGE_BYTES * 2)
    sender = Sender()
    for plans in sender.plan_frames(Message(m.CALL, 1, b"", 0, [buffer])):
        sender.commit(plans)

    assert any(isinstance(each, memoryview) and each.obj is buffer for each in sender.unsent())


def test_keyed_connections_copy_what_they_authenticate() -> None:
    """On keyed connections, a caller's array that changes after its frame was authenticated changes nothing."""
    authenticator = Authenticator(KEY)
    buffer = bytearray(b"a" * SMALL_MESSAGE_BYTES * 2)
    message = Message(m.CALL, 1, b"", 0, [buffer])
    sender = Sender(authenticator)
    expected = Sender(authenticator).data_to_send(Message(m.CALL, 1, b"", 0, [bytes(buffer)]))
    wire = b""
    for plans in sender.plan_frames(message):
        sender.commit(plans)
        wire += take(sender, 1000)
        buffer[:] = b"b" * len(buffer)
        wire += take(sender, 1_000_000)

    assert wire == expected


# Messages that are given up.


def interrupted(sender: Sender, message: Message, after: int) -> bytes:
    """Send so many groups of a message, and give the rest of it up."""
    wire = b""
    plans: Iterator[Any] = iter(sender.plan_frames(message))
    for group in itertools.islice(plans, after):
        sender.commit(group)
        wire += take(sender, 10_000_000)
    return wire


LARGE = Message(m.CALL, 1, bytes(3 * MAX_FRAME_BYTES))


@pytest.mark.parametrize("way", ["short", "long"])
@pytest.mark.parametrize("compress", [False, True], ids=["", "compressed"])
def test_the_peer_is_told(way: str, compress: bool) -> None:
    """A large message that is given up halfway is aborted by the next frame that is sent, once."""
    sender = new_sender(compress=compress)
    interrupted(sender, LARGE, 2)
    ping = pack_head(Message(m.PING))
    wire = b""
    for _ in range(2):
        if way == "short":
            commit(sender, Message(m.PING))
        else:
            sender.commit([(frames.MESSAGES, 0, ping)])
        wire += take(sender, 1000)

    assert frames_in(wire) == [
        (frames.ABORT, 0, 1, b""),
        (frames.MESSAGES, 0, 0, ping),
        (frames.MESSAGES, 0, 0, ping),
    ]


def test_several_messages_are_aborted_at_once() -> None:
    """All large messages that were given up since the last frame are aborted by the next one."""
    sender = Sender()
    under_way = [iter(sender.plan_frames(LARGE)) for _ in range(3)]
    assert all(map(next, under_way))
    under_way.clear()

    found = sent(sender, Message(m.PING))

    assert sorted((kind, stream) for kind, _, stream, _ in found[:3]) == [
        (frames.ABORT, 1),
        (frames.ABORT, 2),
        (frames.ABORT, 3),
    ]
    assert [kind for kind, _, _, _ in found[3:]] == [frames.MESSAGES]


def test_messages_that_never_began_are_not_aborted() -> None:
    """A large message of which not even the plan was looked at leaves no trace."""
    sender = Sender()
    interrupted(sender, LARGE, 0)

    assert [kind for kind, _, _, _ in sent(sender, Message(m.PING))] == [frames.MESSAGES]


def test_whole_messages_are_not_aborted() -> None:
    """A message that was sent to its end is not aborted."""
    sender = Sender()
    sender.data_to_send(LARGE)

    assert [kind for kind, _, _, _ in sent(sender, Message(m.PING))] == [frames.MESSAGES]


# Payloads.


def test_small_payloads_are_not_compressed() -> None:
    """A payload too small to gain anything travels as it is."""
    payload = b"x" * (COMPRESS_FROM_BYTES - 1)

    header, sent = seal(None, 0, frames.DATA, 1, payload, compress=True)

    assert sent == payload
    assert frames.parse_header(header) == (frames.DATA, 0, 1, len(payload))


def test_payloads_are_not_compressed_unasked() -> None:
    """Without the wish for compression nothing is compressed."""
    payload = b"x" * 10_000

    assert seal(None, 0, frames.DATA, 1, payload)[1] == payload


def test_payloads_that_would_not_shrink_are_not_compressed() -> None:
    """A payload that compression would make larger travels as it is."""
    payload = hashlib.shake_128(b"").digest(COMPRESS_FROM_BYTES)

    header, sent = seal(None, 0, frames.DATA, 1, payload, compress=True)

    assert sent == payload
    assert frames.parse_header(header) == (frames.DATA, 0, 1, len(payload))


@pytest.mark.parametrize("size", [COMPRESS_FROM_BYTES, MAX_FRAME_BYTES])
def test_compressed_payloads_come_back(size: int) -> None:
    """A compressed payload up to the size of a frame is what was sent, and the tag is over what is sent."""
    payload = b"x" * size
    authenticator = Authenticator(KEY)

    head, sent = seal(authenticator, 3, frames.DATA, 1, payload, compress=True)

    assert frames.parse_header(head) == (frames.DATA, frames.COMPRESSED, 1, len(sent))
    assert len(sent) < size
    authenticator.check(3, head[: frames.HEADER_SIZE], sent, head[frames.HEADER_SIZE :])
    assert frames.decompress(memoryview(sent)) == payload
