"""Bytes in, messages out.

The law of this file: **an exception may come between any two bytecodes** (from a signal handler that
raises, or set by another thread), and nothing is lost, doubled or left half done.
So one tuple, `_State`, describes all that has been received. It is replaced in a single assignment when
a step is complete; a step that was cut short is simply done again, and each of its effects is the same
the second time. The transport receives bytes and appends them in one C call
(``inbox.extend(map(recv, (size,)))``), which no signal handler can split.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Callable, List, Mapping, Optional, Sequence, Tuple

from easycluster_protocol._limits import SMALL_MESSAGE_BYTES
from easycluster_protocol.errors import RemoteProtocolError

from . import frames
from .frame_reader import DirectReceive, FrameReader
from .frames import HEADER_SIZE, pack_messages_header, parse_header
from .messages import HEAD_SIZE, NO_TABLES, PLAIN_HEAD, Message

if TYPE_CHECKING:
    from .authenticator import Authenticator
    from .frame_reader import Completed

    #: State of the direction → kind of message → next state, see `link`.
    Rules = Mapping[str, Mapping[int, str]]

    #: The rest of earlier receptions:
    #: the bytes received and joined, and how many of them have been read;
    #: how many bytes must be there before the next step is possible;
    #: the DATA frame that is being received directly to its place, or None;
    #: the messages of the last frame that have not been taken.
    _Rest = Tuple[bytes, int, int, Optional[DirectReceive], Sequence[Message]]

    #: All that has been received so far:
    #: the number of the next frame;
    #: the list to which the transport appends further bytes;
    #: the state of the direction;
    #: the rest of earlier receptions, or None if there is none.
    _State = Tuple[int, List[bytes], str, Optional[_Rest]]

    #: A message that may be taken, the state after it, and its number if it is a large one.
    _Ready = Tuple[Message, _State, Optional[int]]

#: If this many bytes of a DATA frame are missing, or more, they are received directly to their place.
_MIN_DIRECT_BYTES = SMALL_MESSAGE_BYTES // 4


class Receiver:
    """One direction of a connection, as its receiver sees it.

    Args:
        rules: which messages may be received in which state.
        state: the first state.
        authenticator: checks the tags of a keyed connection; None for a private one.
        compressed: whether the peer may send compressed frames.
        on_error: called when the peer has broken the rules, before the error is raised.
    """

    def __init__(
        self,
        rules: Rules,
        state: str,
        authenticator: Optional[Authenticator] = None,
        compressed: bool = False,
        on_error: Callable[[], None] = int,  # type: ignore[assignment]
    ) -> None:
        self._rules = rules
        self._on_error = on_error
        self._authenticator = authenticator
        self._reader = FrameReader(authenticator, compressed)
        self._prefix_size = self._reader.prefix_size
        #: The beginning of a frame with one small message: header, tag, envelope.
        plain = struct.Struct(f">{HEADER_SIZE}s{self._prefix_size - HEADER_SIZE}s{PLAIN_HEAD}")
        self._unpack_plain = plain.unpack_from
        self._plain_size = plain.size
        self._state: _State = (0, [], state, None)
        # The message to be taken next, or None.
        self._ready: Optional[_Ready] = None

    @property
    def state(self) -> str:
        """The state of the direction after the messages that have been dealt with."""
        return self._state[2]

    @property
    def inbox(self) -> Any:  # a list of bytes; transports append their number to one of `direct` likewise
        """The list to which the next received bytes are appended; ask again for each reception. None: receive
        to `direct` instead."""
        # A caller that was interrupted may receive before it takes the message that is ready.
        state = self._state if self._ready is None else self._ready[1]
        if state[3] is None or self.direct is None:
            return state[1]
        return None

    @property
    def direct(self) -> Optional[Tuple[memoryview, List[int]]]:
        """The place of the next bytes, if it is known: the view to fill, and the list to which the number
        of bytes filled is appended. None: append to `inbox` instead."""
        rest = self._state[3]
        frame = None if rest is None else rest[3]
        if frame is None:
            return None
        view = frame.rest[sum(frame.counts) :]
        return (view, frame.counts) if view else None

    @property
    def is_between_frames(self) -> bool:
        """Whether no frame and no message is half received, so that the stream may end here."""
        _, inbox, _, rest = self._state
        return rest is None and not any(inbox) and not self._reader.streams

    @property
    def unread(self) -> bytes:
        """The bytes that have come and do not make a frame."""
        _, inbox, _, rest = self._state
        return b"".join([rest[0][rest[1] :] if rest else b"", *inbox])

    def list_begun(self) -> List[int]:
        """Return the calls concerned by the large messages of which a part has come; any thread may ask."""
        return [stream.request for stream in list(self._reader.streams.values())]

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
        """Call ``take`` with each message that is complete; ``take`` may not receive.

        If a call is interrupted, the next one begins with the same message, or with one that equals it.

        Returns:
            Whether there was a message.

        Raises:
            RemoteProtocolError: see `next_message`.
        """
        # Mostly one small message has come, alone and in one piece: its length then determines its header.
        # The state stays until the message has been taken. Everything else, and every error, is left to the
        # general way.
        sequence, inbox, state, rest = self._state
        if rest is None and len(inbox) == 1 and self._ready is None:
            data = inbox[0]
            start = self._plain_size
            length = len(data) - start
            if length >= 0:
                header, tag, kind, tables, thread, request, size = self._unpack_plain(data)
                after = self._rules[state].get(kind)
                if (
                    size == length
                    and tables == NO_TABLES
                    and header == pack_messages_header(HEAD_SIZE + size)
                    and after is not None
                    and (
                        self._authenticator is None
                        or self._authenticator.is_tag_of_small(
                            tag, sequence, header + data[self._prefix_size :]
                        )
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
            Whether another one may be there already.
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
        """Deal with one frame, or with the bytes of it that are there; False if more bytes are needed."""
        sequence, inbox, state, rest = self._state
        data, offset, need, frame, queue = rest or (b"", 0, self._prefix_size, None, ())
        if queue:
            self._commit((queue, None), (sequence, inbox, state), data, offset)
            return True
        if frame is not None:
            return self._step_direct(frame, (sequence, inbox, state))
        if inbox:
            if offset == len(data) and len(inbox) == 1:
                (data,) = inbox
            elif len(data) - offset + sum(map(len, inbox)) < need:
                return False  # pieces are joined once, when a step is possible
            else:
                data = b"".join([data[offset:], *inbox])
            offset, inbox = 0, []
        if len(data) - offset < need:
            return False
        header = parse_header(data[offset : offset + HEADER_SIZE])
        kind, flags, _, length = header
        end = offset + self._prefix_size + length
        missing = end - len(data)
        if missing <= 0:
            completed = self._reader.read(data, end, sequence, header)
            self._commit(completed, (sequence + 1, inbox, state), data, end)
        elif kind == frames.DATA and not flags and missing >= _MIN_DIRECT_BYTES:
            frame = self._reader.begin_direct(data, offset, sequence, header)
            self._state = (sequence, [], state, (b"", 0, self._prefix_size, frame, ()))
        else:
            self._state = (sequence, inbox, state, (data, offset, end - offset, None, ()))
            return False
        return True

    def _commit(
        self, completed: Completed, position: Tuple[int, List[bytes], str], data: bytes, offset: int
    ) -> None:
        """Note that ``data`` has been read up to ``offset``, and which messages are to be taken."""
        messages, stream = completed
        sequence, inbox, state = position
        queue = messages[1:]
        rest = (data, offset, self._prefix_size, None, queue) if queue or offset < len(data) else None
        if not messages:
            self._state = (sequence, inbox, state, rest)
            return
        message = messages[0]
        after = self._rules[state].get(message.kind)
        if after is None:
            raise RemoteProtocolError(f"the peer sent {message!r} when it was {state}")
        self._ready = (message, (sequence, inbox, after, rest), stream)

    def _step_direct(self, frame: DirectReceive, position: Tuple[int, List[bytes], str]) -> bool:
        sequence, inbox, state = position
        come = sum(frame.counts)
        if come < len(frame.rest):
            if come:
                rest = frame.rest[come:]
                frame = DirectReceive(frame.stream, frame.number, frame.prefix, frame.whole, rest)
                self._state = (sequence, inbox, state, (b"", 0, self._prefix_size, frame, ()))
            return False
        completed = self._reader.finish_direct(frame, sequence)
        self._commit(completed, (sequence + 1, inbox, state), b"", 0)
        return True
