"""Messages in, bytes out.

The law of this file is that of `receiver`: an exception may come between any two bytecodes. One tuple
describes all that is being sent; `commit` replaces it in a single assignment. From that moment on the
frames have their numbers and will be sent: if their own sender is interrupted, by the next one. The
transport sends and notes the size in one C call (``sent.extend(map(send, (buffer,)))``).

A keyed connection copies large payloads in pieces before it authenticates them: another thread may
be changing the caller's array, and a byte that changes between its MAC and its sending would cost
the connection. A private connection lends the caller's memory to the kernel.
"""

from __future__ import annotations

import itertools
import struct
import zlib
from collections import deque
from typing import TYPE_CHECKING, Deque, FrozenSet, Iterable, Iterator, List, Optional, Tuple

from easycluster_protocol._limits import COMPRESS_FROM_BYTES, MAX_FRAME_BYTES, SMALL_MESSAGE_BYTES

from . import frames
from .frames import COMPRESSED, pack_header, pack_messages_header
from .messages import HEAD_SIZE, Message, pack_head, pack_plain_head

if TYPE_CHECKING:
    from easycluster_protocol._types import Buffer

    from .authenticator import Authenticator

    #: The buffers of the frames, their total size, the sizes of the pieces sent, and the number of the next
    #: frame. Everything was sent in one piece if ``sent == [total]``. With no buffers the total is 0 and one
    #: piece of size 0 counts as sent, so the same comparison holds.
    State = Tuple[List[Buffer], int, List[int], int]

    #: One frame that has no number yet: kind, stream, payload.
    PlannedFrame = Tuple[int, int, Buffer]

#: Bodies up to this size travel in one frame with their envelope.
MAX_SMALL_BODY = SMALL_MESSAGE_BYTES - 1024

#: The most that one frame of a large message carries on a keyed connection: small enough for the copy
#: to be authenticated and sent while it is in the processor's cache.
_KEYED_PIECE_BYTES = 1 << 18


class Sender:
    """One direction of a connection, as its sender sees it.

    Args:
        authenticator: makes the tags of a keyed connection; None for a private one.
        compress: whether to compress payloads where that makes them smaller.

    Attributes:
        plain_kinds: the kinds of messages that `commit_small` may send now: they neither change the state of
            the direction nor need compression.
    """

    def __init__(self, authenticator: Optional[Authenticator] = None, compress: bool = False) -> None:
        self._authenticator = authenticator
        self._compress = compress
        self._state: State = ([], 0, [0], 0)
        self.plain_kinds: FrozenSet[int] = frozenset()
        self._streams = itertools.count(1)
        self._aborted: Deque[int] = deque()

    @property
    def has_unsent(self) -> bool:
        """Whether something that was committed has not been sent yet (see `unsent`)."""
        state = self._state
        return sum(state[2]) != state[1]

    @property
    def sent(self) -> List[int]:
        """The list to which the transport appends the size of each piece that it has sent."""
        return self._state[2]

    def commit_small(self, message: Message) -> Optional[State]:
        """Number and authenticate a message that fits one frame and has no tables, see `commit`.

        Returns:
            The buffers to send now, with their state; None if nothing was done, because the message needs
            `plan_frames` and `commit`. They also raise the error for a message that is illegal.
        """
        _, total, sent, sequence = self._state
        body = message.body
        size = len(body)
        if (
            sent != [total]  # something that was committed has not been sent yet
            or message.kind not in self.plain_kinds
            or size > MAX_SMALL_BODY
            or message.buffers
            or message.references
            or message.releases
            or self._aborted
        ):
            return None
        try:
            payload = pack_plain_head(message.kind, message.thread, message.request, size) + body
        except struct.error:  # out of range
            return None
        frame = pack_messages_header(HEAD_SIZE + size)
        authenticator = self._authenticator
        if authenticator is not None:
            frame += authenticator.tag_small(sequence, frame + payload)
        frame += payload
        state = self._state = ([frame], len(frame), [], sequence + 1)
        return state

    def plan_frames(self, message: Message) -> Iterable[List[PlannedFrame]]:
        """Return the frames of ``message`` in groups to be committed one after the other.

        Between two groups other messages may be sent.

        Raises:
            LocalProtocolError: a field of the message is out of range.
        """
        head = pack_head(message)
        if len(message.body) <= MAX_SMALL_BODY and not message.buffers:
            return ([(frames.MESSAGES, 0, head + message.body)],)
        stream = next(self._streams) & 0xFFFFFFFF
        return self._plan_large(stream, head, message)

    def _plan_large(self, stream: int, head: bytes, message: Message) -> Iterator[List[PlannedFrame]]:
        limit = MAX_FRAME_BYTES if self._authenticator is None else _KEYED_PIECE_BYTES
        group: List[PlannedFrame] = [(frames.BEGIN, stream, head)]
        size = len(head)
        finished = False
        try:
            for part in (message.body, *message.buffers):
                view = memoryview(part)
                for start in range(0, len(view), limit):
                    piece = view[start : start + limit]
                    if size + len(piece) > limit:
                        yield group
                        group, size = [], 0
                    group.append((frames.DATA, stream, piece))
                    size += len(piece)
            yield group
            finished = True
        finally:
            if not finished:
                self._aborted.append(stream)

    def commit(self, planned: List[PlannedFrame]) -> None:
        """Number and authenticate frames; from now on they will be sent.

        Call it only when `unsent` is empty, then send the buffers that `unsent` returns.
        """
        aborts = [(frames.ABORT, stream, b"") for stream in tuple(self._aborted)]
        if aborts:
            planned = aborts + planned
        _, _, _, sequence = self._state
        buffers: List[Buffer] = []
        for kind, stream, payload in planned:
            copied = kind == frames.DATA and self._authenticator is not None
            content = bytes(payload) if copied else payload
            buffers += seal(self._authenticator, sequence, kind, stream, content, self._compress)
            sequence += 1
        total = frames.count_bytes(buffers)
        if total <= SMALL_MESSAGE_BYTES:
            buffers = [b"".join(buffers)]
        self._state = (buffers, total, [], sequence)
        for _ in aborts:
            self._aborted.popleft()

    def unsent(self) -> List[Buffer]:
        """Return the committed buffers that remain to be sent, in order."""
        buffers, total, sent, sequence = self._state
        done = sum(sent)
        if done == total:
            self._state = ([], 0, [0], sequence)
            return []
        rest: List[Buffer] = []
        for buffer in buffers:
            if done >= len(buffer):
                done -= len(buffer)
            elif done:
                rest.append(memoryview(buffer)[done:])
                done = 0
            else:
                rest.append(buffer)
        return rest

    def data_to_send(self, message: Message) -> bytes:
        """Return all bytes of ``message`` at once. For tests, and where nothing blocks."""
        return self.send_all(self.plan_frames(message))

    def send_all(self, groups: Iterable[List[PlannedFrame]]) -> bytes:
        """Return all bytes of the frames that `plan_frames` returned."""
        parts: List[bytes] = []
        for planned in groups:
            self.commit(planned)
            parts.append(b"".join(self.unsent()))
            self.sent.append(len(parts[-1]))
        return b"".join(parts)


def seal(
    authenticator: Optional[Authenticator],
    sequence: int,
    kind: int,
    stream: int,
    payload: Buffer,
    compress: bool = False,
) -> Tuple[bytes, Buffer]:
    """Return the two buffers to send for one frame: the header with its tag, and the payload."""
    flags = 0
    if compress and len(payload) >= COMPRESS_FROM_BYTES:
        packed = zlib.compress(payload, 1)
        if len(packed) < len(payload):
            payload, flags = packed, COMPRESSED
    header = pack_header(kind, flags, stream, len(payload))
    if authenticator is not None:
        header += authenticator.tag(sequence, header, payload)
    return header, payload
