"""The tags that show that a frame comes from the holder of the key, see `_frames`."""

from __future__ import annotations

import hashlib
import struct
from hmac import compare_digest
from typing import Any

from ._frames import TAG_SIZE
from .errors import RemoteProtocolError

_pack_sequence = struct.Struct(">Q").pack


class Authenticator:
    """Makes and checks the tags of one direction of a keyed connection.

    The inner and outer SHA-256 states of HMAC are prepared once and copied for each frame: for
    small frames that costs a third of what `hmac.new` does.

    Args:
        key: the 32 bytes derived for this direction.
    """

    def __init__(self, key: bytes) -> None:
        block = key.ljust(64, b"\0")
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block)).copy
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in block)).copy

    def tag(self, sequence: int, header: bytes, payload: Any) -> bytes:
        """Return the tag of the frame with this number, header and payload."""
        inner = self._inner()
        inner.update(_pack_sequence(sequence) + header)
        inner.update(payload)
        outer = self._outer()
        outer.update(inner.digest())
        return outer.digest()[:TAG_SIZE]

    def check(self, sequence: int, header: bytes, payload: Any, tag: bytes) -> None:
        """Raise `RemoteProtocolError` unless ``tag`` is right for this frame."""
        if not compare_digest(self.tag(sequence, header, payload), tag):
            raise RemoteProtocolError(
                f"frame {sequence} was not sent by the holder of the key, or was changed on its way"
            )
