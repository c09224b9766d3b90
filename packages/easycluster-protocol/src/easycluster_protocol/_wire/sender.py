"""Messages in, bytes out.

The law of this file is that of `receiver`: an exception may come between any two bytecodes. What
is being sent is one tuple, replaced in a single assignment by `commit`. From that moment on the
frame has its number and will be sent, by whoever sends next if its own sender was interrupted; the
transport notes each step by one C call (``sent.extend(map(send, (buffer,)))``).

A keyed connection copies large payloads in pieces before it authenticates them: another thread may
be changing the caller's array, and a byte that changes between its MAC and its sending would cost
the connection. A private connection lends the caller's memory to the kernel.
"""

from __future__ import annotations

import itertools
import struct
import zlib
from collections import deque
from typing import TYPE_CHECKING, Any, Deque, FrozenSet, Iterable, Iterator, List, Optional, Tuple

from easycluster_protocol._limits import COMPRESS_FROM, MAX_FRAME, SMALL_MESSAGE

from . import frames
from .frames import COMPRESSED, pack_header, pack_messages_header
from .messages import HEAD_SIZE, Message, pack_head, pack_plain_head

if TYPE_CHECKING:
    from .authenticator import Authenticator

    #: (buffers of the frames, their total size, sizes of what was sent, number of the next frame).
    #: When there is nothing to send, nothing was sent once: all is sent in one piece if ``sent == [total]``.
    State = Tuple[List[Any], int, List[int], int]

    #: One frame that is not numbered yet: kind, stream, payload.
    Plan = Tuple[int, int, Any]

#: Bodies up to this size travel in one frame with their envelope.
SMALL_BODY = SMALL_MESSAGE - 1024

#: How much of a large part one frame carries on a keyed connection: small enough for the copy
#: to be authenticated and sent while it is in the processor's cache.
_KEYED_PIECE = 1 << 18


class Sender:
    """One direction of a connection, as its sender sees it.

    Args:
        authenticator: makes the tags of a keyed connection; None for a private one.
        compress: whether to compress payloads where that makes them smaller.

    Attributes:
        steady: the kinds of messages that may be sent now, change nothing in that, and need no compression.
    """

    def __init__(self, authenticator: Optional[Authenticator] = None, compress: bool = False) -> None:
        self._authenticator = authenticator
        self._compress = compress
        self._state: State = ([], 0, [0], 0)
        self.steady: FrozenSet[int] = frozenset()
        self._streams = itertools.count(1)
        self._aborted: Deque[int] = deque()

    @property
    def busy(self) -> bool:
        """Whether something that was committed is not sent yet (see `unsent`)."""
        state = self._state
        return sum(state[2]) != state[1]

    @property
    def sent(self) -> List[int]:
        """The list to which the transport appends the size of what it has sent."""
        return self._state[2]

    def commit_small(self, message: Message) -> Optional[State]:
        """Number and authenticate a message that fits one frame and has no tables, see `commit`.

        Returns:
            What is to be sent now; None when nothing was done, because `plans` and `commit` have to do it:
            they also say what is wrong with a message.
        """
        _, total, sent, sequence = self._state
        body = message.body
        size = len(body)
        if (
            sent != [total]  # something that was committed is not sent yet
            or message.kind not in self.steady
            or size > SMALL_BODY
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

    def plans(self, message: Message) -> Iterable[List[Plan]]:
        """Return the frames of ``message`` in groups to be committed one after the other.

        Between two groups other messages may be sent.

        Raises:
            LocalProtocolError: a field of the message is out of range.
        """
        head = pack_head(message)
        if len(message.body) <= SMALL_BODY and not message.buffers:
            return ([(frames.MESSAGES, 0, head + message.body)],)
        stream = next(self._streams) & 0xFFFFFFFF
        return self._large(stream, head, message)

    def _large(self, stream: int, head: bytes, message: Message) -> Iterator[List[Plan]]:
        limit = MAX_FRAME if self._authenticator is None else _KEYED_PIECE
        group: List[Plan] = [(frames.BEGIN, stream, head)]
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

    def commit(self, plans: List[Plan]) -> None:
        """Number and authenticate frames; from now on they will be sent.

        Call it only when `unsent` is empty, then send what `unsent` returns.
        """
        aborts = [(frames.ABORT, stream, b"") for stream in tuple(self._aborted)]
        if aborts:
            plans = aborts + plans
        _, _, _, sequence = self._state
        buffers: List[Any] = []
        for kind, stream, payload in plans:
            copied = kind == frames.DATA and self._authenticator is not None
            content = bytes(payload) if copied else payload
            buffers += seal(self._authenticator, sequence, kind, stream, content, self._compress)
            sequence += 1
        total = frames.total_size(buffers)
        if total <= SMALL_MESSAGE:
            buffers = [b"".join(buffers)]
        self._state = (buffers, total, [], sequence)
        for _ in aborts:
            self._aborted.popleft()

    def unsent(self) -> List[Any]:
        """Return the buffers that remain to be sent of what was committed, in order."""
        buffers, total, sent, sequence = self._state
        done = sum(sent)
        if done == total:
            self._state = ([], 0, [0], sequence)
            return []
        rest: List[Any] = []
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
        """Return all bytes of ``message`` at once, as sent. For tests, and where nothing blocks."""
        return self.send_all(self.plans(message))

    def send_all(self, groups: Iterable[List[Plan]]) -> bytes:
        """Return all bytes of what `plans` returned, as sent."""
        parts: List[bytes] = []
        for plans in groups:
            self.commit(plans)
            parts.append(b"".join(self.unsent()))
            self.sent.append(len(parts[-1]))
        return b"".join(parts)


def seal(
    authenticator: Authenticator | None,
    sequence: int,
    kind: int,
    stream: int,
    payload: Any,
    compress: bool = False,
) -> List[Any]:
    """Return the buffers to send for one frame, in order."""
    flags = 0
    if compress and len(payload) >= COMPRESS_FROM:
        packed = zlib.compress(payload, 1)
        if len(packed) < len(payload):
            payload, flags = packed, COMPRESSED
    header = pack_header(kind, flags, stream, len(payload))
    if authenticator is not None:
        header += authenticator.tag(sequence, header, payload)
    return [header, payload]
