from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, strategies as st

from easycluster_protocol._wire import link as link_module, messages as m, sender as sender_module
from easycluster_protocol._wire.link import CLIENT, CLOSED, FAILED, OPEN, SERVER, TRANSITIONS, Link
from easycluster_protocol._wire.messages import KIND_NAMES, Message
from easycluster_protocol.errors import LocalProtocolError, ProtocolError, RemoteProtocolError
from helpers.pair import (
    FUZZ,
    KINDS,
    MODES,
    SIZES,
    LinkPair,
    Mode,
    messages_of,
    pieces,
    receive,
    take_in,
    take_messages,
)

ROLES = [CLIENT, SERVER]
MODE = st.sampled_from(list(MODES.values()))


def ends(pair: LinkPair, role: str) -> tuple[Link, Link]:
    """The end with that role, and its peer."""
    link = pair.client if role == CLIENT else pair.server
    return link, pair.peer(link)


# What is sent arrives.


@pytest.mark.parametrize("role", ROLES)
@FUZZ
@given(mode=MODE, data=st.data(), sizes=SIZES)
def test_what_is_sent_arrives(role: str, mode: Mode, data: st.DataObject, sizes: list[int]) -> None:
    """Any messages arrive as they were sent, in order, in whatever pieces, on every kind of connection."""
    pair = LinkPair(mode, sizes)
    link, _ = ends(pair, role)

    pair.send(link, *data.draw(st.lists(messages_of(role), max_size=5)), sizes=sizes)


@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
def test_byte_by_byte(mode: Mode) -> None:
    """A conversation arrives byte by byte as it does whole."""
    pair = LinkPair(mode, [1])
    for size in ([1], []):
        pair.send(
            pair.client,
            Message(m.CALL, 1, b"body" * 300, -5, [b"buffer" * 200, b""], [1, 2, 3], [(4, 5), (6, 7)]),
            Message(m.RELEASE, 0, releases=[(8, 9)] * 100),
            Message(m.CANCEL, 1),
            sizes=size,
        )
        pair.send(
            pair.server,
            Message(m.RESULT, 1, b"", -5, [bytes(5000)], range(50)),
            Message(m.FAILURE, 2, b"failure"),
            sizes=size,
        )


@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
def test_bytes_that_came_with_the_handshake(mode: Mode) -> None:
    """What the peer sent together with the end of its handshake is the beginning of the conversation."""
    pair = LinkPair(mode)
    messages = [Message(m.CALL, 1, b"body"), Message(m.CANCEL, 1)]
    data = b"".join(map(pair.client.data_to_send, messages))

    server = Link(SERVER, pair.server.agreement, data[:50])

    assert receive(server, data[50:]) == messages


LATER_MESSAGES = [
    (CLIENT, Message(m.CREDIT, 1 << 40, thread=-3)),
    (SERVER, Message(m.CREDIT, 2**64 - 1, thread=2**63 - 1)),
    (CLIENT, Message(m.CANCEL, 12, thread=4)),
    (CLIENT, Message(m.STATUS_QUERY, 1, b"which session")),
    (SERVER, Message(m.STATUS, 1, b"\x17\x00\x08\0\0\0\0\0\0\0\1")),
    (CLIENT, Message(m.STOP_THREAD, 0, thread=9)),
    (CLIENT, Message(m.RELEASE, 0, releases=[(2**64 - 1, 2**32 - 1)])),
    (CLIENT, Message(m.MODULES, 0, b"modules" * 100)),
]


@pytest.mark.parametrize(("role", "message"), LATER_MESSAGES, ids=str)
@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
def test_messages_of_later_versions(mode: Mode, role: str, message: Message) -> None:
    """Messages that are reserved for later versions arrive already: credit, cancels, the status of a worker."""
    pair = LinkPair(mode)
    link, _ = ends(pair, role)

    pair.send(link, message, sizes=[7])


@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
@pytest.mark.parametrize("size", [100_000, 1 << 22])
def test_messages_of_several_mib(mode: Mode, size: int) -> None:
    """A message of several MiB arrives whole, received as transports do."""
    pair = LinkPair(mode)
    body = bytes(range(251)) * (3 << 20 // 251)
    message = Message(m.CALL, 1, body[: 2 << 20], 0, [body[:100_000], body[: 1 << 20]])
    data = pair.client.data_to_send(message)
    found, position = [], 0
    while position < len(data):
        position += take_in(pair.server.receiver, data[position : position + size])
        found += take_messages(pair.server)

    assert found == [message]


def commit_next(link: Link, plans: object) -> bytes:
    """Send the next frames of a large message; none are left: nothing."""
    group = next(plans, None)  # type: ignore[call-overload]  # an iterator
    if group is None:
        return b""
    link.sender.commit(group)
    data = b"".join(link.sender.unsent())
    link.sender.sent.append(len(data))
    return data


@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
@pytest.mark.parametrize("sizes", [[], [1000], [70_000, 3]])
def test_small_messages_pass_between_the_frames_of_large_ones(mode: Mode, sizes: Sequence[int]) -> None:
    """While large messages are under way, small ones overtake them, and all arrive whole."""
    pair = LinkPair(mode)
    client = pair.client
    large = [Message(m.CALL, number, bytes([number]) * (2 << 20)) for number in (1, 2)]
    under_way = [iter(client.plan_frames(message)) for message in large]
    wire: list[bytes] = []
    pings: list[Message] = []
    while True:
        parts = [commit_next(client, plans) for plans in under_way]
        if not any(parts):
            break
        pings.append(Message(m.PING, len(pings)))
        wire += [*parts, client.data_to_send(pings[-1])]

    found = receive(pair.server, b"".join(wire), sizes)

    assert [message for message in found if message.kind == m.PING] == pings
    assert [message for message in found if message.kind == m.CALL] == large
    assert found.index(pings[0]) < found.index(large[0])


def test_small_and_large() -> None:
    """The short way is offered for messages that fit one frame, and refused for others."""
    pair = LinkPair()
    small = Message(m.CALL, 1, bytes(sender_module.MAX_SMALL_BODY))

    sender = pair.client.sender
    assert sender.commit_small(Message(m.CALL, 1, bytes(sender_module.MAX_SMALL_BODY + 1))) is None
    assert sender.commit_small(Message(m.CALL, 1, b"", 0, [b"b"])) is None
    assert not sender.has_unsent
    assert sender.commit_small(small) is not None
    assert receive(pair.server, b"".join(sender.unsent())) == [small]


def test_memory_of_a_message_is_let_go() -> None:
    """When a message has been dealt with, the link holds nothing of it any more."""
    pair = LinkPair()
    pair.server.receive_data(pair.client.data_to_send(Message(m.CALL, 1, bytes(100_000))))

    assert pair.server.receiver.next_message() is not None
    pair.server.receiver.advance()

    assert pair.server.receiver.next_message() is None
    assert pair.server.receiver.is_between_frames


# Who may say what, and when.


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("kind", KIND_NAMES, ids=KIND_NAMES.values())
def test_who_may_say_what(role: str, kind: int) -> None:
    """An end sends what the table allows it and nothing else; the peer holds it to the same table."""
    allowed = kind in (*KINDS[role], m.CLOSE)
    pair = LinkPair()
    link, peer = ends(pair, role)
    if allowed:
        pair.send(link, Message(kind, 1))
        return

    assert link.sender.commit_small(Message(kind, 1)) is None
    for say in (link.data_to_send, link.plan_frames):
        with pytest.raises(
            LocalProtocolError, match=f"a {role} that is open cannot send <{KIND_NAMES[kind]}"
        ):
            say(Message(kind, 1))
    peer.receive_data(link.sender.data_to_send(Message(kind, 1)))
    with pytest.raises(RemoteProtocolError, match=f"<{KIND_NAMES[kind]} .* when it was open"):
        peer.receiver.next_message()
    assert peer.receiving == peer.sending == FAILED


def test_tables_name_every_kind() -> None:
    """Each kind of message belongs to one end or to both, and CLOSE is the only one that changes a state."""
    both = {**TRANSITIONS[CLIENT][OPEN], **TRANSITIONS[SERVER][OPEN]}

    assert both == {kind: CLOSED if kind == m.CLOSE else OPEN for kind in KIND_NAMES}
    for role in ROLES:
        assert set(TRANSITIONS[role][OPEN]) == {*KINDS[role], m.CLOSE}
        assert TRANSITIONS[role][CLOSED] == TRANSITIONS[role][FAILED] == {}


@pytest.mark.parametrize("role", ROLES)
def test_nothing_follows_close(role: str) -> None:
    """After CLOSE an end sends nothing more, and a peer that hears more refuses it; the other direction is
    open still."""
    pair = LinkPair()
    link, peer = ends(pair, role)

    pair.send(link, Message(m.CLOSE, 0, b"goodbye"))

    assert (link.sending, link.receiving) == (CLOSED, OPEN)
    assert (peer.sending, peer.receiving) == (OPEN, CLOSED)
    with pytest.raises(LocalProtocolError, match=f"a {role} that is closed cannot send <PING"):
        link.data_to_send(Message(m.PING))
    assert link.sender.commit_small(Message(m.PING)) is None
    pair.send(peer, Message(m.PING, 1))
    peer.receive_data(link.sender.data_to_send(Message(m.PING, 2)))
    with pytest.raises(RemoteProtocolError, match="<PING request 2 .* when it was closed"):
        peer.receiver.next_message()


def test_close_may_be_asked_for_twice() -> None:
    """The message that closes is handed out again until it is dealt with, like any other."""
    pair = LinkPair()
    pair.server.receive_data(pair.client.data_to_send(Message(m.CLOSE)))

    assert pair.server.receiver.next_message() == pair.server.receiver.next_message() == Message(m.CLOSE)
    assert pair.server.receiving == OPEN
    pair.server.receiver.advance()
    assert pair.server.receiving == CLOSED
    assert pair.server.receiver.next_message() is None


def test_the_short_way_changes_no_state() -> None:
    """A message that changes the state is left to the way that checks each message."""
    pair = LinkPair()

    assert pair.client.sender.commit_small(Message(m.CLOSE, 0, b"bye")) is None
    assert pair.client.sending == OPEN


def test_after_a_violation_nothing_goes_on() -> None:
    """When the peer broke the rules, the link neither receives nor sends any more."""
    pair = LinkPair()
    pair.server.receive_data(b"\0" * 100)
    with pytest.raises(RemoteProtocolError, match="not a frame"):
        pair.server.receiver.next_message()

    with pytest.raises(LocalProtocolError, match="a server that is failed cannot send <PONG"):
        pair.server.data_to_send(Message(m.PONG))
    with pytest.raises(RemoteProtocolError):
        pair.server.receiver.next_message()
    assert pair.server.receive_eof()[0] is False
    assert repr(pair.server) == "<Link server, sending: failed, receiving: failed>"


def test_a_refused_message_is_not_taken_later() -> None:
    """A message that was refused is refused again, however the caller goes on."""
    pair = LinkPair()
    pair.server.receive_data(pair.client.sender.data_to_send(Message(m.RESULT)))
    for _ in range(2):
        with pytest.raises(RemoteProtocolError, match="<RESULT"):
            pair.server.receiver.next_message()

    pair.server.receiver.advance()

    assert pair.server.receiving == FAILED


def test_a_violation_by_the_way() -> None:
    """A violation that is found while bytes are taken in ends the link like any other."""
    pair = LinkPair()
    frames = pair.client.data_to_send(Message(m.CALL, 1, bytes(100_000)))

    with pytest.raises(RemoteProtocolError):
        for piece in pieces(frames[:-1] + b"\xff", [90_000]):
            pair.server.receive_data(piece)
            pair.server.receiver.next_message()

    assert pair.server.receiving == FAILED


# The end of the stream.


@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
def test_end_of_the_stream(mode: Mode) -> None:
    """The end of the stream is in order after CLOSE only, and an end within a message is told from one
    between two."""
    pair = LinkPair(mode)
    assert pair.server.receive_eof() == (False, "the connection ended")

    data = pair.client.data_to_send(Message(m.CALL, 1, bytes(100)))
    for piece in pieces(data, [10]):
        pair.server.receive_data(piece)
        found = take_messages(pair.server)
        text = "the connection ended" + ("" if found else " in the middle of a message")
        assert pair.server.receive_eof() == (False, text)

    pair.send(pair.client, Message(m.CLOSE))
    assert pair.server.receive_eof() == (True, "the peer closed the connection")


# Attacks on an open link.


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
def test_reflection(mode: Mode, role: str) -> None:
    """An end that hears its own words refuses them: on keyed connections whatever they are, on private ones
    what is not its peer's to say."""
    link, _ = ends(LinkPair(mode), role)
    kind = m.CALL if role == CLIENT else m.RESULT

    link.receive_data(link.data_to_send(Message(m.PING if mode.key else kind, 1)))

    with pytest.raises(RemoteProtocolError):
        link.receiver.next_message()


CONVERSATION = [Message(m.PING, 1), Message(m.CALL, 2, b"b" * 50, 0, [b"c" * 60]), Message(m.CLOSE, 3)]


def frames_of(link: Link, messages: Sequence[Message]) -> list[bytes]:
    """The frames of a keyed link, one by one."""
    found = []
    for message in messages:
        data = link.data_to_send(message)
        while data:
            end = 32 + int.from_bytes(data[8:12], "big")
            found.append(data[:end])
            data = data[end:]
    return found


def test_every_flipped_bit_of_a_keyed_link_is_noticed() -> None:
    """With any one bit flipped, what was sent before it arrives, and nothing else does."""
    pair = LinkPair()
    data = b"".join(frames_of(pair.client, CONVERSATION))
    for bit in range(8 * len(data)):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        link = Link(SERVER, pair.server.agreement)
        found: list[Message] = []
        link.receive_data(bytes(changed))
        try:
            found += take_messages(link)
        except RemoteProtocolError:
            assert link.receiving == FAILED
        found += messages_before_failure(pair, bytes(changed))

        assert found == CONVERSATION[: len(found)]
        assert len(found) < len(CONVERSATION)


def messages_before_failure(pair: LinkPair, data: bytes) -> list[Message]:
    """The messages that a server takes before it notices."""
    link, found = Link(SERVER, pair.server.agreement), []
    link.receive_data(data)
    try:
        while (message := link.receiver.next_message()) is not None:
            found.append(message)
            link.receiver.advance()
    except RemoteProtocolError:
        pass
    return found


def test_no_frame_of_a_keyed_link_can_be_moved() -> None:
    """A frame that is left out, repeated or exchanged with another is noticed at once."""
    pair = LinkPair()
    frames = frames_of(pair.client, CONVERSATION)
    orders = []
    for first in range(len(frames)):
        orders.append([index for index in range(len(frames)) if index != first])
        orders.append(sorted([*range(len(frames)), first]))
        for second in range(first):
            order = list(range(len(frames)))
            order[first], order[second] = second, first
            orders.append(order)
    for order in orders:
        found = messages_before_failure(pair, b"".join(frames[index] for index in order))

        unharmed = next((place for place, index in enumerate(order) if place != index), len(order))
        whole = [1, 4, 5]  # after how many frames each message is whole
        assert found == CONVERSATION[: sum(unharmed >= end for end in whole)]


# Any bytes.


@FUZZ
@given(mode=MODE, data=st.binary(max_size=400), sizes=SIZES, role=st.sampled_from(ROLES))
def test_any_bytes_are_taken_or_refused(mode: Mode, data: bytes, sizes: list[int], role: str) -> None:
    """Any bytes after some good ones are taken in, or refused by a protocol error that ends the link."""
    pair = LinkPair(mode)
    link, peer = ends(pair, role)
    good = Message(m.PING, 1)
    try:
        found = receive(peer, link.data_to_send(good) + data, sizes)
    except ProtocolError:
        assert peer.receiving == FAILED
    else:
        assert found[:1] == [good]


def test_module_has_two_roles() -> None:
    """Every state of either role has a row in the table."""
    assert {role: set(rows) for role, rows in TRANSITIONS.items()} == {
        role: {OPEN, CLOSED, FAILED} for role in ROLES
    }
    assert link_module._PEER == {CLIENT: SERVER, SERVER: CLIENT}
