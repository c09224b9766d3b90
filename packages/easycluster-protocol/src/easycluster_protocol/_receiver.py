"""Bytes in, messages out.

The law of this file: **an exception may come between any two bytecodes** (a signal handler that
raises, an exception set from another thread) and nothing is lost, doubled or left half done.
So what has been received is described by one tuple, `_State`, which is replaced in a single
assignment when a step is complete; a step that was cut short is simply done again, and each of its
effects is the same the second time. The transport appends what it receives by one C call
(``inbox.extend(map(recv, (size,)))``), which no signal handler can split.
"""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Tuple

from . import _frames
from ._frames import HEADER_SIZE, TAG_SIZE, Authenticator, FrameHeader, parse_header
from ._limits import MAX_STREAMS, SMALL_MESSAGE
from ._messages import Message, parse_head, parse_small
from ._streams import IncomingStream
from .errors import RemoteProtocolError

#: What has been received so far:
#: the bytes received and joined, and how many of them are dealt with;
#: the number of the frame that comes next;
#: the list to which the transport appends further bytes;
#: how many bytes must lie there before a step can be made;
#: the DATA frame that is being received straight to its place, or None;
#: the messages of the last frame that are not taken yet.
_State = Tuple[bytes, int, int, List[bytes], int, "Optional[_Fill]", Tuple[Message, ...]]


class _Fill:
    """A DATA frame that is being received straight to its place.

    Attributes:
        stream, number: the large message that it belongs to.
        prefix: header and tag of the frame, as received.
        whole: where the payload belongs.
        rest: the part of it that was still to come when the header came.
        counts: the sizes of what has come of `rest`.
    """

    __slots__ = ("stream", "number", "prefix", "whole", "rest", "counts")

    def __init__(
        self, stream: IncomingStream, number: int, prefix: bytes, whole: memoryview, here: int
    ) -> None:
        self.stream = stream
        self.number = number
        self.prefix = prefix
        self.whole = whole
        self.rest = whole[here:]
        self.counts: List[int] = []


_COPY_BELOW = 4096

#: From this many missing bytes on, a DATA frame is received straight to its place.
_DIRECT_FROM = SMALL_MESSAGE // 4


class Receiver:
    """One direction of a connection, as its receiver sees it.

    Args:
        authenticator: checks the tags of a keyed connection; None for a private one.
        compressed: whether the peer may send compressed frames.
    """

    def __init__(self, authenticator: Optional[Authenticator] = None, compressed: bool = False) -> None:
        self._authenticator = authenticator
        self._compressed = compressed
        self._prefix = HEADER_SIZE + (TAG_SIZE if authenticator is not None else 0)
        self._streams: Dict[int, IncomingStream] = {}
        self._state: _State = (b"", 0, 0, [], self._prefix, None, ())
        # The message to be taken next, the state after it, whether there may be another, and the
        # number of the large message that it was, or None.
        self._ready: Optional[Tuple[Message, _State, bool, Optional[int]]] = None

    @property
    def inbox(self) -> List[bytes]:
        """The list to which received bytes are appended; ask again for each reception."""
        # A caller that was interrupted may receive before it takes the message that is ready.
        ready = self._ready
        return self._state[3] if ready is None else ready[1][3]

    @property
    def direct(self) -> Optional[Tuple[memoryview, List[int]]]:
        """Where to receive next when the place is known: the view to fill, and the list to which
        the number of bytes filled is appended. None: append to `inbox` instead."""
        fill = self._state[5]
        if fill is None:
            return None
        rest = fill.rest[sum(fill.counts) :]
        return (rest, fill.counts) if rest else None

    @property
    def between_frames(self) -> bool:
        """Whether nothing is half received, so that the end of the stream is no accident."""
        data, offset, _, inbox, _, fill, _ = self._state
        return len(data) == offset and not any(inbox) and fill is None and not self._streams

    def receive_data(self, data: bytes) -> None:
        """Take in ``data``, any part of what the peer sent. Then call `next_message`."""
        view = memoryview(data)
        while view:
            direct = self.direct
            if direct is None:
                self.inbox.append(bytes(view))
                return
            target, counts = direct
            taken = min(len(target), len(view))
            target[:taken] = view[:taken]
            counts.append(taken)
            view = view[taken:]
            while not self._ready and self._step():
                pass

    def next_message(self) -> Optional[Message]:
        """Return the next message, or None when more bytes are needed.

        The same message is returned again until `advance` is called.

        Raises:
            RemoteProtocolError: the peer broke the rules; the connection cannot be used any more.
        """
        while self._ready is None:
            if not self._step():
                return None
        return self._ready[0]

    def advance(self) -> bool:
        """Say that the message which `next_message` returned has been dealt with.

        Returns:
            Whether there may be another one already.
        """
        ready = self._ready
        if ready is None:
            return True
        _, after, more, stream = ready
        if stream is not None:
            self._streams.pop(stream, None)
        self._state = after
        self._ready = None
        return more or bool(after[3])

    def _step(self) -> bool:  # noqa: C901, PLR0911, PLR0912 -- on the way of every call: each further call of ours costs it 2 %
        """Deal with one frame, or what is there of it; False when more bytes are needed."""
        data, offset, sequence, inbox, need, fill, queue = self._state
        if queue:
            self._ready = (queue[0], (data, offset, sequence, inbox, need, fill, queue[1:]), True, None)
            return True
        if fill is not None:
            return self._step_fill(fill, sequence, inbox)
        if inbox:
            if offset == len(data) and len(inbox) == 1:
                (data,) = inbox
            elif len(data) - offset + sum(map(len, inbox)) < need:
                return False  # nothing is joined before it pays
            else:
                data = b"".join([data[offset:], *inbox])
            offset, inbox = 0, []
        if len(data) - offset < need:
            return False
        head = data[offset : offset + HEADER_SIZE]
        header = parse_header(head)
        kind, flags, number, length = header
        start = offset + self._prefix
        end = start + length
        missing = end - len(data)
        if missing > 0:
            if kind == _frames.DATA and not flags and missing >= _DIRECT_FROM:
                return self._begin_fill(data, offset, sequence, header)
            self._state = (data, offset, sequence, inbox, end - offset, None, ())
            return False
        # A copy of few bytes costs less than a view of them.
        payload: Any = data[start:end] if length < _COPY_BELOW else memoryview(data)[start:end]
        if self._authenticator is not None:
            self._authenticator.check(sequence, head, payload, data[start - TAG_SIZE : start])
        if flags:
            payload = self._decompress(payload)
        after: _State = (data, end, sequence + 1, inbox, self._prefix, None, ())
        if kind != _frames.MESSAGES:
            self._handle_stream(kind, number, payload, after)
            return True
        message = parse_small(payload)
        if message is not None:
            self._ready = (message, after, end < len(data), None)
        else:
            self._handle_messages(payload, after)
        return True

    def _decompress(self, payload: Any) -> bytes:
        if not self._compressed:
            raise RemoteProtocolError("the peer compressed a frame although that was not agreed")
        return _frames.decompress(payload)

    def _handle_stream(self, kind: int, number: int, payload: Any, after: _State) -> None:
        if kind == _frames.DATA:
            stream = self._stream(number)
            target = stream.destination(after[2] - 1, len(payload))
            if target is not None:
                target[:] = payload
            self._count(number, stream, len(payload), after)
        elif kind == _frames.BEGIN:
            self._count(number, self._begin(number, payload, after[2] - 1), 0, after)
        else:
            self._streams.pop(number, None)
            self._state = after

    def _handle_messages(self, payload: Any, after: _State) -> None:
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
        self._state = (*after[:6], tuple(messages))

    def _begin(self, number: int, payload: Any, sequence: int) -> IncomingStream:
        under_way = self._streams.get(number)
        if under_way is not None and under_way.began != sequence:
            raise RemoteProtocolError(f"the peer began message {number} twice")
        if under_way is None and len(self._streams) >= MAX_STREAMS:
            raise RemoteProtocolError(f"the peer began more than {MAX_STREAMS} large messages at once")
        stream = self._streams[number] = IncomingStream(payload, sequence)
        return stream

    def _stream(self, number: int) -> IncomingStream:
        try:
            return self._streams[number]
        except KeyError:
            raise RemoteProtocolError(
                f"the peer went on with message {number}, which it never began"
            ) from None

    def _count(self, number: int, stream: IncomingStream, length: int, after: _State) -> None:
        """Count the frame before ``after`` and commit it, with the message if that is whole now."""
        if length:
            stream.count(after[2] - 1, length)
        if stream.complete:
            self._ready = (stream.finish(), after, True, number)
        else:
            self._state = after

    def _begin_fill(self, data: bytes, offset: int, sequence: int, header: FrameHeader) -> bool:
        """Begin to receive a DATA frame straight to its place."""
        _, _, number, length = header
        start = offset + self._prefix
        stream = self._stream(number)
        whole = stream.destination(sequence, length)
        if whole is None:  # nowhere to put it: take it in and forget it
            whole = memoryview(bytearray(length))
        here = len(data) - start
        whole[:here] = data[start:]
        fill = _Fill(stream, number, data[offset:start], whole, here)
        self._state = (b"", 0, sequence, [], self._prefix, fill, ())
        return True

    def _step_fill(self, fill: _Fill, sequence: int, inbox: List[bytes]) -> bool:
        if sum(fill.counts) < len(fill.rest):
            return False
        if self._authenticator is not None:
            header, tag = fill.prefix[:HEADER_SIZE], fill.prefix[HEADER_SIZE:]
            self._authenticator.check(sequence, header, fill.whole, tag)
        after: _State = (b"", 0, sequence + 1, inbox, self._prefix, None, ())
        self._count(fill.number, fill.stream, len(fill.whole), after)
        return True
