"""Frames to messages: reads the frames that have arrived, and keeps the large messages that are under way.

Each method may be interrupted and called again with the same frame; the effect is the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Dict, List, Optional, Sequence, Tuple

from easycluster_protocol._limits import FEW_STREAMS, MAX_STREAMS
from easycluster_protocol.errors import RemoteProtocolError

from . import frames
from .frames import HEADER_SIZE, TAG_SIZE
from .messages import Message, parse_head

if TYPE_CHECKING:
    from easycluster_protocol._types import Buffer

    from .authenticator import Authenticator
    from .frames import FrameHeader
    from .streams import IncomingStream

    #: The messages that a frame completed, and the number of the large one among them, or None.
    Completed = Tuple[Sequence[Message], Optional[int]]

#: A payload of this size or more is viewed; copying a smaller one costs less than a view of it.
_MIN_VIEW_BYTES = 4096


class DirectReceive:
    """A DATA frame that is being received directly to its place.

    Attributes:
        stream, number: the large message that it belongs to.
        prefix: header and tag of the frame, as received.
        whole: the place of the payload.
        rest: the part of that place which is still to be filled.
        counts: the sizes of the pieces that have arrived in `rest`.
    """

    __slots__ = ("stream", "number", "prefix", "whole", "rest", "counts")

    def __init__(
        self, stream: IncomingStream, number: int, prefix: bytes, whole: memoryview, rest: memoryview
    ) -> None:
        self.stream = stream
        self.number = number
        self.prefix = prefix
        self.whole = whole
        self.rest = rest
        self.counts: List[int] = []


class FrameReader:
    """Checks and reads frames that have been received completely.

    Args:
        authenticator: checks the tags of a keyed connection; None for a private one.
        compressed: whether the peer may send compressed frames.

    Attributes:
        streams: the large messages under way, by number, until they have been taken.
        prefix_size: the size of header and tag.
    """

    def __init__(self, authenticator: Optional[Authenticator], compressed: bool) -> None:
        self._authenticator = authenticator
        self._compressed = compressed
        self.prefix_size = HEADER_SIZE + (TAG_SIZE if authenticator is not None else 0)
        self.streams: Dict[int, IncomingStream] = {}

    def read(self, data: bytes, end: int, sequence: int, header: FrameHeader) -> Completed:
        """Read one frame.

        Args:
            data: received bytes with the frame in them.
            end: the index in ``data`` at which the frame ends.
            sequence: the number of the frame.
            header: its header.

        Raises:
            RemoteProtocolError: the peer may not send this.
        """
        kind, _, number, _ = header
        payload = self._open(data, end, sequence, header)
        if kind == frames.MESSAGES:
            return _parse_messages(payload), None
        if kind == frames.ABORT:
            self.streams.pop(number, None)
            return (), None
        if kind == frames.BEGIN:
            return _count(number, self._begin(number, payload, sequence), 0, sequence)
        stream = self._find_stream(number)
        place = stream.find_place(sequence, len(payload), len(self.streams) > FEW_STREAMS)
        if place is not None:
            place[:] = payload
        return _count(number, stream, len(payload), sequence)

    def _open(self, data: bytes, end: int, sequence: int, header: FrameHeader) -> Buffer:
        """Check a frame and return its payload."""
        _, flags, _, length = header
        start = end - length
        payload: Buffer = data[start:end] if length < _MIN_VIEW_BYTES else memoryview(data)[start:end]
        if self._authenticator is not None:
            head = data[start - self.prefix_size : start - TAG_SIZE]
            self._authenticator.check(sequence, head, payload, data[start - TAG_SIZE : start])
        if flags:
            if not self._compressed:
                raise RemoteProtocolError("the peer compressed a frame although that was not agreed")
            payload = frames.decompress(payload)
        return payload

    def _begin(self, number: int, payload: Buffer, sequence: int) -> IncomingStream:
        under_way = self.streams.get(number)
        if under_way is not None and under_way.first_sequence != sequence:
            raise RemoteProtocolError(f"the peer began message {number} twice")
        if under_way is None and len(self.streams) >= MAX_STREAMS:
            raise RemoteProtocolError(f"the peer began more than {MAX_STREAMS} large messages at once")
        from .streams import IncomingStream  # on a host that was sent our code it comes with the first call

        stream = self.streams[number] = IncomingStream(payload, sequence)
        return stream

    def _find_stream(self, number: int) -> IncomingStream:
        try:
            return self.streams[number]
        except KeyError:
            raise RemoteProtocolError(
                f"the peer went on with message {number}, which it never began"
            ) from None

    def begin_direct(self, data: bytes, offset: int, sequence: int, header: FrameHeader) -> DirectReceive:
        """Begin to receive a DATA frame directly to its place.

        Args:
            data: received bytes that end within the frame.
            offset: the index in ``data`` at which the frame begins.
            sequence: the number of the frame.
            header: its header.
        """
        _, _, number, length = header
        start = offset + self.prefix_size
        stream = self._find_stream(number)
        whole = stream.find_place(sequence, length, len(self.streams) > FEW_STREAMS)
        if whole is None:  # the payload has no place: receive it and forget it
            whole = memoryview(bytearray(length))
        here = len(data) - start
        whole[:here] = data[start:]
        return DirectReceive(stream, number, data[offset:start], whole, whole[here:])

    def finish_direct(self, frame: DirectReceive, sequence: int) -> Completed:
        """Read a frame that has been received directly to its place."""
        if self._authenticator is not None:
            header, tag = frame.prefix[:HEADER_SIZE], frame.prefix[HEADER_SIZE:]
            self._authenticator.check(sequence, header, frame.whole, tag)
        return _count(frame.number, frame.stream, len(frame.whole), sequence)


def _count(number: int, stream: IncomingStream, length: int, sequence: int) -> Completed:
    """Count the bytes of a large message that a frame carried, and see whether it is complete now."""
    if length:
        stream.count(sequence, length)
    return ((stream.finish(),), number) if stream.is_complete else ((), None)


def _parse_messages(payload: Buffer) -> Sequence[Message]:
    """Return the messages that a frame carries."""
    messages: List[Message] = []
    position = 0
    while position < len(payload) or not messages:  # no frame is without a message
        message, body, buffers, size = parse_head(payload, position)
        end = position + size + body
        if buffers or end > len(payload):
            raise RemoteProtocolError("a message does not fit the frame that holds it")
        message.body = payload[position + size : end]
        messages.append(message)
        position = end
    return messages
