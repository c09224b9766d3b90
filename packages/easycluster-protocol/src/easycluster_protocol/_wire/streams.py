"""Large messages on their way in: each part is received straight into the buffer it will keep."""

from __future__ import annotations

import sys
from typing import Any, List, Optional, Tuple

from easycluster_protocol._limits import OUT_OF_BAND
from easycluster_protocol.errors import RemoteProtocolError

from .messages import Message, parse_head


def allocate(size: int) -> memoryview:
    """Return a writable view of ``size`` new bytes that owns its memory.

    NumPy's allocator is used where NumPy is loaded already: it does not clear the memory and asks
    for huge pages, which makes receiving large arrays two to three times as fast.
    """
    numpy = sys.modules.get("numpy")
    if numpy is not None and size >= OUT_OF_BAND and hasattr(numpy, "empty"):
        return memoryview(numpy.empty(size, numpy.uint8))
    return memoryview(bytearray(size))


class IncomingStream:
    """One large message that is being received.

    Args:
        payload: the payload of its BEGIN frame: the envelope and nothing else.
        sequence: the number of that frame.

    Memory for a part is asked for when its first bytes come. Where there is none, the rest is
    received to nowhere and the message ends up damaged, which costs that one call.

    Raises:
        RemoteProtocolError: the payload is no envelope.
    """

    def __init__(self, payload: Any, sequence: int) -> None:
        message, body, buffers, size = parse_head(payload)
        if size != len(payload):
            raise RemoteProtocolError("a BEGIN frame holds more than an envelope")
        self.message = message
        self.began = sequence
        self._lengths: List[int] = [body, *buffers]
        self._parts: List[Optional[memoryview]] = [None] * len(self._lengths)
        # One attribute, so that an interrupt cannot come between its halves:
        # (number of the frame counted last, part that is filled, bytes of it that are there)
        self._progress: Tuple[int, int, int] = self._place(sequence, 0, 0)

    @property
    def complete(self) -> bool:
        """Whether every byte has arrived."""
        return self._progress[1] == len(self._lengths)

    def destination(self, sequence: int, length: int) -> Optional[memoryview]:
        """Return where the ``length`` bytes of the frame with this number belong.

        Returns:
            None when they have no place to go, or are there and counted already.

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
        """Note that the frame with this number brought ``length`` bytes; a repetition counts once."""
        last, index, filled = self._progress
        if sequence != last:
            self._progress = self._place(sequence, index, filled + length)

    def _place(self, sequence: int, index: int, filled: int) -> Tuple[int, int, int]:
        """Return the progress behind so many bytes of a part, and behind the empty parts after it."""
        while index < len(self._lengths) and filled == self._lengths[index]:
            index, filled = index + 1, 0
        return sequence, index, filled

    def finish(self) -> Message:
        """Return the whole message."""
        message = self.message
        if message.damage is None:
            parts = [allocate(0) if part is None else part for part in self._parts]
            message.body = parts[0]
            message.buffers = parts[1:]
        return message
