"""Two ends of a connection without a connection: what one end says is carried to the other by hand.

`LinkPair` is two links after a real handshake; `Carrier` records what passes during a handshake and
may change it. `pieces` and `take_in` cut a stream of bytes as a network might.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from hypothesis import settings, strategies as st

from easycluster_protocol._handshake.client import ClientHandshake
from easycluster_protocol._handshake.handshake import Handshake
from easycluster_protocol._handshake.server import ServerHandshake
from easycluster_protocol._limits import SMALL_MESSAGE_BYTES
from easycluster_protocol._wire import messages as m
from easycluster_protocol._wire.link import CLIENT, SERVER, Link
from easycluster_protocol._wire.messages import Message
from easycluster_protocol._wire.receiver import Receiver

KEY = bytes(range(32))
OTHER_KEY = bytes(range(1, 33))
SESSION_NAME = b"sixteen bytes it"

#: For every property test: the same examples in each run, and no clock.
FUZZ = settings(deadline=None, derandomize=True, max_examples=200)

#: Sizes of the pieces in which bytes arrive; none: all at once.
SIZES = st.lists(st.integers(1, 300), max_size=8)


class Mode(NamedTuple):
    """A kind of connection."""

    key: bytes | None
    compress: bool


MODES = {
    "private": Mode(None, False),
    "private, compressed": Mode(None, True),
    "keyed": Mode(KEY, False),
    "keyed, compressed": Mode(KEY, True),
}

# Messages.

IDS = st.integers(0, 2**64 - 1)
THREADS = st.integers(-(2**63), 2**63 - 1)
REFERENCES = st.lists(IDS, max_size=4)
RELEASES = st.lists(st.tuples(IDS, st.integers(0, 2**32 - 1)), max_size=4)
BODIES = st.binary(max_size=200) | st.binary(min_size=1, max_size=9).map(lambda data: data * 200)

#: What either end may say before CLOSE.
KINDS = {
    CLIENT: (
        m.CALL,
        m.INVOKE,
        m.CANCEL,
        m.RELEASE,
        m.STOP_THREAD,
        m.STATUS_QUERY,
        m.MODULES,
        m.CREDIT,
        m.PING,
        m.PONG,
    ),
    SERVER: (m.RESULT, m.FAILURE, m.STATUS, m.REFERENCES, m.CREDIT, m.PING, m.PONG),
}


def messages_of(role: str) -> st.SearchStrategy[Message]:
    """Any message that this end may send, whole in every field."""
    return st.builds(
        Message,
        kind=st.sampled_from(KINDS[role]),
        request=IDS,
        body=BODIES,
        thread=THREADS,
        buffers=st.lists(BODIES, max_size=3),
        references=REFERENCES,
        releases=RELEASES,
    )


# Bytes.


def pieces(data: bytes, sizes: Sequence[int] = ()) -> Iterator[bytes]:
    """Cut ``data`` into pieces of these sizes, which are used again and again; no sizes: one piece."""
    position = 0
    for size in itertools.cycle(sizes or [len(data)]):
        if position >= len(data):
            return
        yield data[position : position + size]
        position += size


def take_in(receiver: Receiver, data: bytes) -> int:
    """Receive once as the transports do, and return how many bytes of ``data`` that took."""
    direct = receiver.direct
    if direct is None:
        taken = data[:SMALL_MESSAGE_BYTES]
        receiver.inbox.extend(map(bytes, (taken,)))
        return len(taken)
    view, counts = direct
    size = min(len(view), len(data))

    def receive_into(target: memoryview) -> int:
        target[:size] = data[:size]
        return size

    counts.extend(map(receive_into, (view,)))
    return size


def take_messages(link: Link) -> list[Message]:
    """Return the messages that have arrived whole."""
    found: list[Message] = []
    link.receiver.deliver(found.append)
    return found


def receive(link: Link, data: bytes, sizes: Sequence[int] = ()) -> list[Message]:
    """Hand ``data`` to a link in pieces and return the messages that came of it."""
    found = []
    for piece in pieces(data, sizes):
        link.receive_data(piece)
        found += take_messages(link)
    return found


# Handshakes.


class Packet(NamedTuple):
    """One packet of a handshake on its way."""

    sender: str
    data: bytes


#: What becomes of a packet on its way: nothing, itself, or others.
Tamper = Callable[[Packet], bytes]


def untouched(packet: Packet) -> bytes:
    """Let a packet pass as it is."""
    return packet.data


class Carrier:
    """Carries a handshake between two ends.

    Args:
        client, server: the two ends.
        tamper: what somebody between the two does to each packet.
        sizes: sizes of the pieces in which packets arrive.

    Attributes:
        packets: what was sent, before anybody tampered with it.
    """

    def __init__(
        self,
        client: Handshake,
        server: Handshake,
        tamper: Tamper = untouched,
        sizes: Sequence[int] = (),
    ) -> None:
        self._ends = {CLIENT: client, SERVER: server}
        self._tamper = tamper
        self._sizes = sizes
        self.packets: list[Packet] = []

    def run(self) -> None:
        """Carry packets until neither end has more to say.

        Raises:
            ConnectError, ProtocolError: what one of the ends raised; what it sent before is carried.
        """
        sender, receiver = CLIENT, SERVER
        idle = 0
        while idle < 2:
            data = self._ends[sender].data_to_send()
            idle = 0 if data else idle + 1
            if data:
                packet = Packet(sender, data)
                self.packets.append(packet)
                try:
                    for piece in pieces(self._tamper(packet), self._sizes):
                        self._ends[receiver].receive_data(piece)
                except Exception:
                    self._carry_refusal(receiver)
                    raise
            sender, receiver = receiver, sender

    def _carry_refusal(self, sender: str) -> None:
        data = self._ends[sender].data_to_send()
        if data:
            self.packets.append(Packet(sender, data))


class LinkPair:
    """The two ends of an open connection, after a real handshake.

    Args:
        mode: one of `MODES`.
        sizes: sizes of the pieces in which the handshake arrives.
    """

    def __init__(self, mode: Mode = MODES["keyed"], sizes: Sequence[int] = ()) -> None:
        client = ClientHandshake(mode.key, mode.compress)
        server = ServerHandshake(mode.key, SESSION_NAME)
        Carrier(client, server, sizes=sizes).run()
        assert client.agreement is not None
        assert server.agreement is not None
        self.client = Link(CLIENT, client.agreement)
        self.server = Link(SERVER, server.agreement)

    def peer(self, link: Link) -> Link:
        """Return the other end."""
        return self.server if link is self.client else self.client

    def send(self, link: Link, *messages: Message, sizes: Sequence[int] = ()) -> list[Message]:
        """Send messages from ``link`` to its peer; what arrives must be what was sent."""
        data = b"".join(map(link.data_to_send, messages))
        received = receive(self.peer(link), data, sizes)
        assert received == list(messages)
        return received
