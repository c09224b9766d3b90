"""Large messages that are arriving: each part is received directly into the buffer where it stays."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, List, Optional, Tuple

from easycluster_protocol._limits import OUT_OF_BAND_BYTES
from easycluster_protocol.errors import RemoteProtocolError

from .messages import Message, parse_head

if TYPE_CHECKING:
    from easycluster_protocol._types import Buffer


def allocate(size: int) -> memoryview:
    """Return a writable view of ``size`` new bytes that owns its memory.

    NumPy's allocator is used if NumPy has been imported already: it does not clear the memory and asks
    for huge pages, which makes receiving large arrays two to three times as fast.
    """
    numpy = sys.modules.get("numpy")
    if numpy is not None and size >= OUT_OF_BAND_BYTES and hasattr(numpy, "empty"):
        return memoryview(numpy.empty(size, numpy.uint8))
    return memoryview(bytearray(size))


class IncomingStream:
    """One large message that is being received.

    Args:
        payload: the payload of its BEGIN frame: the envelope and nothing else.
        sequence: the number of that frame.

    Memory for a part is allocated when its first bytes arrive. If there is none, the rest of the message is
    thrown away and the message is marked as damaged, so only that one call fails.

    Raises:
        RemoteProtocolError: the payload is not an envelope.
    """

    def __init__(self, payload: Buffer, sequence: int) -> None:
        message, body, buffers, size = parse_head(payload)
        if size != len(payload):
            raise RemoteProtocolError("a BEGIN frame holds more than an envelope")
        self.message = message
        self.first_sequence = sequence
        self._lengths: List[int] = [body, *buffers]
        self._parts: List[Optional[memoryview]] = [None] * len(self._lengths)
        # One attribute, so that an interrupt cannot come between its parts: the number of the frame that was
        # counted last, the index of the part that is being filled, and how many bytes of it have arrived.
        self._progress: Tuple[int, int, int] = self._advance(sequence, 0, 0)

    @property
    def is_complete(self) -> bool:
        """Whether every byte has arrived."""
        return self._progress[1] == len(self._lengths)

    def find_place(self, sequence: int, length: int) -> Optional[memoryview]:
        """Return the place of the ``length`` bytes that the frame with this number carries.

        Returns:
            None if there is no memory for them, or they have arrived and been counted before.

        Raises:
            RemoteProtocolError: they would cross the end of the part.
        """
        last, index, filled = self._progress
        if sequence == last:
            return None
        if index == len(self._lengths) or length > self._lengths[index] - filled or not length:
            raise RemoteProtocolError("a DATA frame does not fit the message it belongs to")
        part = self._parts[index]
        if part is None and self.message.damage is None:
            try:
                part = self._parts[index] = allocate(self._lengths[index])
            except (MemoryError, OverflowError, ValueError):
                self.message.damage = f"there is no memory for {self._lengths[index]} bytes"
                self._parts = [None] * len(self._lengths)
        return None if part is None else part[filled : filled + length]

    def count(self, sequence: int, length: int) -> None:
        """Note that the frame with this number carried ``length`` bytes; a repetition counts once."""
        last, index, filled = self._progress
        if sequence != last:
            self._progress = self._advance(sequence, index, filled + length)

    def _advance(self, sequence: int, index: int, filled: int) -> Tuple[int, int, int]:
        """Return the progress after ``filled`` bytes of a part, past empty parts that follow it."""
        while index < len(self._lengths) and filled == self._lengths[index]:
            index, filled = index + 1, 0
        return sequence, index, filled

    def finish(self) -> Message:
        """Return the message, once it `is_complete`."""
        message = self.message
        if message.damage is None:
            parts = [allocate(0) if part is None else part for part in self._parts]
            message.body = parts[0]
            message.buffers = parts[1:]
        return message
