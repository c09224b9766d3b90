"""Large messages that are arriving: each part is received directly into the buffer where it stays.

**A length is a claim of the peer until its bytes have come**, so memory that is set aside for them must not
become resident before. The law: whatever is announced, this end holds at most the bytes that have come
(counted after decompression) and 64 MiB. A part gets its whole memory at once, because an array has to be in
one piece, but it is memory that the system gives only when it is written to. Two things give more: clearing,
which is done to small memory, and huge pages. Both are allowed while few messages are under way
(`FEW_STREAMS`, 2 MiB for each); each further message gets plain pages, 4 KiB in excess.
"""

from __future__ import annotations

import errno
import struct
import sys
from io import BytesIO
from typing import TYPE_CHECKING, Any, Dict, Optional, Tuple

from easycluster_protocol._limits import OUT_OF_BAND_BYTES
from easycluster_protocol.errors import RemoteProtocolError

from .messages import HEAD_SIZE, Message, parse_head

try:
    import mmap
except ImportError:  # not every Python has it
    mmap = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from easycluster_protocol._types import Buffer

#: Larger memory comes from the system as untouched pages. Smaller memory comes from the heap, which is
#: faster, and may be cleared at once.
_MAX_CLEARED_BYTES = 1 << 20

#: No memory takes less than a page.
_PAGE_BYTES = 1 << 12

_NUMBER = struct.Struct(">Q")
#: Where an envelope has the length of the body; the lengths of the buffers are at its end.
_BODY_OFFSET = HEAD_SIZE - _NUMBER.size


def allocate(size: int, sparing: bool = False) -> memoryview:
    """Return a writable view of ``size`` new bytes that owns its memory.

    If NumPy has been imported already, it allocates large memory: it does not clear it and asks for huge
    pages, which makes receiving large arrays two to three times as fast.

    Args:
        size: the number of bytes, as the peer announced it.
        sparing: whether to take no more pages than are written to, see above.

    Raises:
        MemoryError, OverflowError, ValueError: there is no memory for them.
    """
    if size <= _PAGE_BYTES:
        return memoryview(bytearray(size))
    if sparing:
        return _map(size, "MADV_NOHUGEPAGE")
    numpy = sys.modules.get("numpy")
    if numpy is not None and size >= OUT_OF_BAND_BYTES and hasattr(numpy, "empty"):
        return memoryview(numpy.empty(size, numpy.uint8))
    return memoryview(bytearray(size)) if size <= _MAX_CLEARED_BYTES else _map(size, "MADV_HUGEPAGE")


def _map(size: int, advice: str) -> memoryview:
    """Return memory whose pages the system gives when they are written to."""
    if mmap is None:
        return BytesIO(bytes(size)).getbuffer()  # CPython takes zeros from `calloc`, and copies nothing here
    module: Any = mmap
    # Without these flags, on Windows, memory is private and anonymous anyway.
    flags = (module.MAP_PRIVATE | module.MAP_ANON,) if hasattr(module, "MAP_ANON") else ()
    try:
        memory = module.mmap(-1, size, *flags)
    except OSError as error:
        if error.errno == errno.ENOMEM:
            raise MemoryError from error
        raise
    number = getattr(module, advice, None)
    if number is not None:  # Linux, and Python 3.8 or newer
        try:
            memory.madvise(number)  # novm
        except OSError as error:
            if error.errno != errno.EINVAL:  # this kernel has no huge pages
                raise
    return memoryview(memory)


class IncomingStream:
    """One large message that is being received.

    Args:
        payload: the payload of its BEGIN frame: the envelope and nothing else.
        sequence: the number of that frame.

    Memory for a part is allocated when its first bytes arrive. If there is none, the rest of the message is
    thrown away and the message is marked as damaged, so only that one call fails. The tables of the envelope
    become objects when the message is complete: they are several times as large.

    Attributes:
        damage: why the message cannot be received, or None.

    Raises:
        RemoteProtocolError: the payload is not an envelope.
    """

    __slots__ = ("damage", "first_sequence", "_envelope", "_count", "_parts", "_progress")

    def __init__(self, payload: Buffer, sequence: int) -> None:
        _, _, buffers, size = parse_head(payload)
        if size != len(payload):
            raise RemoteProtocolError("a BEGIN frame holds more than an envelope")
        self.damage: Optional[str] = None
        self.first_sequence = sequence
        self._envelope = bytes(payload)
        self._count = 1 + len(buffers)
        self._parts: Dict[int, memoryview] = {}
        # One attribute, so that an interrupt cannot come between its parts: the number of the frame that was
        # counted last, the index of the part that is being filled, and how many bytes of it have arrived.
        self._progress: Tuple[int, int, int] = self._advance(sequence, 0, 0)

    @property
    def request(self) -> int:
        """The call concerned."""
        return parse_head(self._envelope)[0].request

    @property
    def is_complete(self) -> bool:
        """Whether every byte has arrived."""
        return self._progress[1] == self._count

    def _get_length(self, index: int) -> int:
        """Return the length of a part: 0 is the body, then come the buffers."""
        offset = len(self._envelope) - _NUMBER.size * (self._count - index) if index else _BODY_OFFSET
        length: int = _NUMBER.unpack_from(self._envelope, offset)[0]
        return length

    def find_place(self, sequence: int, length: int, sparing: bool = False) -> Optional[memoryview]:
        """Return the place of the ``length`` bytes that the frame with this number carries.

        Args:
            sequence: the number of the frame.
            length: the size of its payload.
            sparing: see `allocate`.

        Returns:
            None if there is no memory for them, or they have arrived and been counted before.

        Raises:
            RemoteProtocolError: they would cross the end of the part.
        """
        last, index, filled = self._progress
        if sequence == last:
            return None
        size = 0 if index == self._count else self._get_length(index)
        if length > size - filled or not length:
            raise RemoteProtocolError("a DATA frame does not fit the message it belongs to")
        part = self._parts.get(index)
        if part is None and self.damage is None:
            try:
                part = self._parts[index] = allocate(size, sparing)
            except (MemoryError, OverflowError, ValueError):
                self.damage = f"there is no memory for {size} bytes"
                self._parts = {}
        return None if part is None else part[filled : filled + length]

    def count(self, sequence: int, length: int) -> None:
        """Note that the frame with this number carried ``length`` bytes; a repetition counts once."""
        last, index, filled = self._progress
        if sequence != last:
            self._progress = self._advance(sequence, index, filled + length)

    def _advance(self, sequence: int, index: int, filled: int) -> Tuple[int, int, int]:
        """Return the progress after ``filled`` bytes of a part, past empty parts that follow it."""
        while index < self._count and filled == self._get_length(index):
            index, filled = index + 1, 0
        return sequence, index, filled

    def finish(self) -> Message:
        """Return the message, once it `is_complete`."""
        message = parse_head(self._envelope)[0]
        message.damage = self.damage
        if self.damage is None:
            parts = [self._parts.get(index) or memoryview(bytearray()) for index in range(self._count)]
            message.body = parts[0]
            message.buffers = parts[1:]
        return message
