"""Bytes in, messages out.

The law of this file: **an exception may come between any two bytecodes** (a signal handler that
raises, an exception set from another thread) and nothing is lost, doubled or left half done.
So what has been received is described by one tuple, `_State`, which is replaced in a single
assignment when a step is complete; a step that was cut short is simply done again, and each of its
effects is the same the second time. The transport appends what it receives by one C call
(``inbox.extend(map(recv, (size,)))``), which no signal handler can split.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Callable, List, Mapping, Optional, Sequence, Tuple

from easycluster_protocol._limits import SMALL_MESSAGE
from easycluster_protocol.errors import RemoteProtocolError

from . import frames
from .frame_reader import Fill, FrameReader
from .frames import HEADER_SIZE, pack_messages_header, parse_header
from .messages import HEAD_SIZE, NO_TABLES, PLAIN_HEAD, Message

if TYPE_CHECKING:
    from .authenticator import Authenticator
    from .frame_reader import Whole

    #: phase of the direction → kind of message → next phase, see `link`.
    Rules = Mapping[str, Mapping[int, str]]

    #: What is left over of earlier receptions:
    #: the bytes received and joined, and how many of them are dealt with;
    #: how many bytes must lie there before a step can be made;
    #: the DATA frame that is being received straight to its place, or None;
    #: the messages of the last frame that are not taken yet.
    _Rest = Tuple[bytes, int, int, Optional[Fill], Sequence[Message]]

    #: What has been received so far:
    #: the number of the frame that comes next;
    #: the list to which the transport appends further bytes;
    #: the phase of the direction;
    #: what is left over, or None when nothing is.
    _State = Tuple[int, List[bytes], str, Optional[_Rest]]

    #: A message that may be taken, the state after it, and the number of the large message that it was.
    _Ready = Tuple[Message, _State, Optional[int]]

#: From this many missing bytes on, a DATA frame is received straight to its place.
_DIRECT_FROM = SMALL_MESSAGE // 4


class Receiver:
    """One direction of a connection, as its receiver sees it.

    Args:
        rules: what may be received in which phase.
        phase: the first phase.
        authenticator: checks the tags of a keyed connection; None for a private one.
        compressed: whether the peer may send compressed frames.
        on_error: called when the peer has broken the rules, before that is raised.
    """

    def __init__(
        self,
        rules: Rules,
        phase: str,
        authenticator: Optional[Authenticator] = None,
        compressed: bool = False,
        on_error: Callable[[], None] = int,  # type: ignore[assignment]
    ) -> None:
        self._rules = rules
        self._on_error = on_error
        self._authenticator = authenticator
        self._reader = FrameReader(authenticator, compressed)
        self._prefix = self._reader.prefix
        #: What a frame with one small message begins with: header, tag, envelope.
        plain = struct.Struct(f">{HEADER_SIZE}s{self._prefix - HEADER_SIZE}s{PLAIN_HEAD}")
        self._unpack_plain = plain.unpack_from
        self._plain_size = plain.size
        self._state: _State = (0, [], phase, None)
        # What is to be taken next, or None.
        self._ready: Optional[_Ready] = None

    @property
    def phase(self) -> str:
        """The phase of the direction, after the messages that were dealt with."""
        return self._state[2]

    @property
    def inbox(self) -> Any:
        """The list to which received bytes are appended; ask again for each reception. None: receive
        to `direct` instead."""
        # A caller that was interrupted may receive before it takes the message that is ready.
        state = self._state if self._ready is None else self._ready[1]
        if state[3] is None or self.direct is None:
            return state[1]
        return None

    @property
    def direct(self) -> Optional[Tuple[memoryview, List[int]]]:
        """Where to receive next when the place is known: the view to fill, and the list to which
        the number of bytes filled is appended. None: append to `inbox` instead."""
        rest = self._state[3]
        fill = None if rest is None else rest[3]
        if fill is None:
            return None
        view = fill.rest[sum(fill.counts) :]
        return (view, fill.counts) if view else None

    @property
    def between_frames(self) -> bool:
        """Whether nothing is half received, so that the end of the stream is no accident."""
        _, inbox, _, rest = self._state
        return rest is None and not any(inbox) and not self._reader.streams

    def receive_data(self, data: bytes) -> None:
        """Take in ``data``, any part of what the peer sent. Then call `deliver`."""
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
            while self._ready is None and self._step():
                pass

    def deliver(self, take: Callable[[Message], object]) -> bool:
        """Call ``take`` with each message that is whole. It may not receive.

        When that is interrupted, the next call begins with the same message again, or one that equals it.

        Returns:
            Whether there was any.

        Raises:
            RemoteProtocolError: see `next_message`.
        """
        # Mostly one small message has come, alone and in one piece: then its length tells its header. The
        # state stays until it has been taken. Anything else, and what is wrong, is left to the general way.
        sequence, inbox, phase, rest = self._state
        if rest is None and len(inbox) == 1 and self._ready is None:
            data = inbox[0]
            start = self._plain_size
            length = len(data) - start
            if length >= 0:
                header, tag, kind, tables, thread, request, size = self._unpack_plain(data)
                after = self._rules[phase].get(kind)
                if (
                    size == length
                    and tables == NO_TABLES
                    and header == pack_messages_header(HEAD_SIZE + size)
                    and after is not None
                    and (
                        self._authenticator is None
                        or self._authenticator.is_tag_of_small(tag, sequence, header + data[self._prefix :])
                    )
                ):
                    take(Message(kind, request, data[start:], thread))
                    self._state = (sequence + 1, [], after, None)
                    return True
        return self._deliver_all(take)

    def _deliver_all(self, take: Callable[[Message], object]) -> bool:
        delivered = False
        while True:
            message = self.next_message()
            if message is None:
                return delivered
            take(message)
            delivered = True
            if not self.advance():
                return True

    def next_message(self) -> Optional[Message]:
        """Return the next message, or None when more bytes are needed.

        The same message is returned again until `advance` is called.

        Raises:
            RemoteProtocolError: the peer broke the rules; the connection cannot be used any more.
        """
        try:
            while self._ready is None:
                if not self._step():
                    return None
            return self._ready[0]
        except RemoteProtocolError:
            self._on_error()
            raise

    def advance(self) -> bool:
        """Say that the message which `next_message` returned has been dealt with.

        Returns:
            Whether there may be another one already.
        """
        ready = self._ready
        if ready is None:
            return True
        _, after, stream = ready
        if stream is not None:
            self._reader.streams.pop(stream, None)
        self._state = after
        self._ready = None
        return True if after[1] else after[3] is not None

    def _step(self) -> bool:
        """Deal with one frame, or what is there of it; False when more bytes are needed."""
        sequence, inbox, phase, rest = self._state
        data, offset, need, fill, queue = rest or (b"", 0, self._prefix, None, ())
        if queue:
            self._commit((queue, None), (sequence, inbox, phase), data, offset)
            return True
        if fill is not None:
            return self._step_fill(fill, (sequence, inbox, phase))
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
        header = parse_header(data[offset : offset + HEADER_SIZE])
        kind, flags, _, length = header
        end = offset + self._prefix + length
        missing = end - len(data)
        if missing <= 0:
            whole = self._reader.read(data, end, sequence, header)
            self._commit(whole, (sequence + 1, inbox, phase), data, end)
        elif kind == frames.DATA and not flags and missing >= _DIRECT_FROM:
            fill = self._reader.begin_fill(data, offset, sequence, header)
            self._state = (sequence, [], phase, (b"", 0, self._prefix, fill, ()))
        else:
            self._state = (sequence, inbox, phase, (data, offset, end - offset, None, ()))
            return False
        return True

    def _commit(self, whole: Whole, state: Tuple[int, List[bytes], str], data: bytes, offset: int) -> None:
        """Note that ``data`` is dealt with up to ``offset``, and that these messages are to be taken."""
        messages, stream = whole
        sequence, inbox, phase = state
        queue = messages[1:]
        rest = (data, offset, self._prefix, None, queue) if queue or offset < len(data) else None
        if not messages:
            self._state = (sequence, inbox, phase, rest)
            return
        message = messages[0]
        after = self._rules[phase].get(message.kind)
        if after is None:
            raise RemoteProtocolError(f"the peer sent {message!r} when it was {phase}")
        self._ready = (message, (sequence, inbox, after, rest), stream)

    def _step_fill(self, fill: Fill, state: Tuple[int, List[bytes], str]) -> bool:
        sequence, inbox, phase = state
        come = sum(fill.counts)
        if come < len(fill.rest):
            if come:
                fill = Fill(fill.stream, fill.number, fill.prefix, fill.whole, fill.rest[come:])
                self._state = (sequence, inbox, phase, (b"", 0, self._prefix, fill, ()))
            return False
        whole = self._reader.finish_fill(fill, sequence)
        self._commit(whole, (sequence + 1, inbox, phase), b"", 0)
        return True
