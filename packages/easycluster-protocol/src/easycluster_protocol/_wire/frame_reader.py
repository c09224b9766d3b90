"""Frames to messages: what a frame brings, and the large messages under way.

Each method may be interrupted and called again with the same frame; the effect is the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, Optional, Sequence, Tuple

from easycluster_protocol._limits import MAX_STREAMS
from easycluster_protocol.errors import RemoteProtocolError

from . import frames
from .frames import HEADER_SIZE, TAG_SIZE
from .messages import Message, parse_head

if TYPE_CHECKING:
    from .authenticator import Authenticator
    from .frames import FrameHeader
    from .streams import IncomingStream

    #: The messages that came whole with a frame, and the number of the large one among them, or None.
    Whole = Tuple[Sequence[Message], Optional[int]]

_COPY_BELOW = 4096


class Fill:
    """A DATA frame that is being received straight to its place.

    Attributes:
        stream, number: the large message that it belongs to.
        prefix: header and tag of the frame, as received.
        whole: where the payload belongs.
        rest: the part of it that is still to come.
        counts: the sizes of what has come of `rest`.
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
    """Checks frames that have been received whole, and reads them.

    Args:
        authenticator: checks the tags of a keyed connection; None for a private one.
        compressed: whether the peer may send compressed frames.

    Attributes:
        streams: the large messages under way, by number, until they have been taken.
        prefix: the size of header and tag.
    """

    def __init__(self, authenticator: Optional[Authenticator], compressed: bool) -> None:
        self._authenticator = authenticator
        self._compressed = compressed
        self.prefix = HEADER_SIZE + (TAG_SIZE if authenticator is not None else 0)
        self.streams: Dict[int, IncomingStream] = {}

    def read(self, data: bytes, end: int, sequence: int, header: FrameHeader) -> Whole:
        """Take in the frame that ends there.

        Raises:
            RemoteProtocolError: it is not what the peer may send.
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
        stream = self._stream(number)
        target = stream.destination(sequence, len(payload))
        if target is not None:
            target[:] = payload
        return _count(number, stream, len(payload), sequence)

    def _open(self, data: bytes, end: int, sequence: int, header: FrameHeader) -> Any:
        """Return the payload of a frame, checked."""
        _, flags, _, length = header
        start = end - length
        # A copy of few bytes costs less than a view of them.
        payload: Any = data[start:end] if length < _COPY_BELOW else memoryview(data)[start:end]
        if self._authenticator is not None:
            head = data[start - self.prefix : start - TAG_SIZE]
            self._authenticator.check(sequence, head, payload, data[start - TAG_SIZE : start])
        if flags:
            if not self._compressed:
                raise RemoteProtocolError("the peer compressed a frame although that was not agreed")
            payload = frames.decompress(payload)
        return payload

    def _begin(self, number: int, payload: Any, sequence: int) -> IncomingStream:
        under_way = self.streams.get(number)
        if under_way is not None and under_way.began != sequence:
            raise RemoteProtocolError(f"the peer began message {number} twice")
        if under_way is None and len(self.streams) >= MAX_STREAMS:
            raise RemoteProtocolError(f"the peer began more than {MAX_STREAMS} large messages at once")
        from .streams import IncomingStream  # over ssh it comes just ahead of the first call

        stream = self.streams[number] = IncomingStream(payload, sequence)
        return stream

    def _stream(self, number: int) -> IncomingStream:
        try:
            return self.streams[number]
        except KeyError:
            raise RemoteProtocolError(
                f"the peer went on with message {number}, which it never began"
            ) from None

    def begin_fill(self, data: bytes, offset: int, sequence: int, header: FrameHeader) -> Fill:
        """Begin to receive a DATA frame straight to its place."""
        _, _, number, length = header
        start = offset + self.prefix
        stream = self._stream(number)
        whole = stream.destination(sequence, length)
        if whole is None:  # nowhere to put it: take it in and forget it
            whole = memoryview(bytearray(length))
        here = len(data) - start
        whole[:here] = data[start:]
        return Fill(stream, number, data[offset:start], whole, whole[here:])

    def finish_fill(self, fill: Fill, sequence: int) -> Whole:
        """Take in a frame that has been received to its place."""
        if self._authenticator is not None:
            header, tag = fill.prefix[:HEADER_SIZE], fill.prefix[HEADER_SIZE:]
            self._authenticator.check(sequence, header, fill.whole, tag)
        return _count(fill.number, fill.stream, len(fill.whole), sequence)


def _count(number: int, stream: IncomingStream, length: int, sequence: int) -> Whole:
    """Count what a frame brought of a large message; return that if it is whole now."""
    if length:
        stream.count(sequence, length)
    return ((stream.finish(),), number) if stream.complete else ((), None)


def _parse_messages(payload: Any) -> Sequence[Message]:
    """Return the messages that a frame holds."""
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
