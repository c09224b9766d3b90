"""The tags which prove that a frame comes from a holder of the key, see `frames`."""

from __future__ import annotations

import hmac
import struct
from hmac import compare_digest
from typing import TYPE_CHECKING, Callable

from easycluster_protocol.errors import RemoteProtocolError

from .frames import TAG_SIZE

if TYPE_CHECKING:  # novm
    from typing import Protocol

    from easycluster_protocol._types import Buffer

    class _Mac(Protocol):
        def update(self, msg: Buffer) -> None: ...
        def digest(self) -> bytes: ...


try:
    from _hashlib import hmac_new  # a third of what the class of `hmac` costs
except ImportError:  # Python 3.8 and before, PyPy
    hmac_new = hmac.new  # type: ignore[assignment]

_pack_sequence = struct.Struct(">Q").pack


class Authenticator:
    """Makes and checks the tags of one direction of a keyed connection.

    The state of HMAC with the key is prepared once and copied for each frame.

    Args:
        key: the 32 bytes derived for this direction.
    """

    def __init__(self, key: bytes) -> None:
        self._new_mac: Callable[[], _Mac] = hmac_new(key, digestmod="sha256").copy

    def tag(self, sequence: int, header: bytes, payload: Buffer) -> bytes:
        """Return the tag of the frame that has this number, header and payload."""
        mac = self._new_mac()
        mac.update(_pack_sequence(sequence) + header)
        mac.update(payload)
        return mac.digest()[:TAG_SIZE]

    def tag_small(self, sequence: int, frame: bytes) -> bytes:
        """Return the tag of the frame that has this number; its header and payload are in one piece."""
        mac = self._new_mac()
        mac.update(_pack_sequence(sequence) + frame)
        return mac.digest()[:TAG_SIZE]

    def is_tag_of_small(self, tag: bytes, sequence: int, frame: bytes) -> bool:
        """Whether ``tag`` is the one that `tag_small` returns for this frame."""
        return compare_digest(self.tag_small(sequence, frame), tag)

    def check(self, sequence: int, header: bytes, payload: Buffer, tag: bytes) -> None:
        """Raise `RemoteProtocolError` unless ``tag`` is right for this frame."""
        if not compare_digest(self.tag(sequence, header, payload), tag):
            raise RemoteProtocolError(
                f"frame {sequence} was not sent by the holder of the key, or was changed on its way"
            )
