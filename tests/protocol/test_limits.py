from __future__ import annotations

from easycluster_protocol import _limits as limits
from easycluster_protocol._wire import sender
from easycluster_protocol._wire.frames import HEADER_SIZE, TAG_SIZE
from easycluster_protocol._wire.messages import HEAD_SIZE


def test_the_largest_envelope_fits_a_frame() -> None:
    """An envelope with three full tables, which must not be split, fits one frame."""
    per_entry = 8 + 12 + 8

    assert HEAD_SIZE + per_entry * limits.MAX_TABLE_ENTRIES <= limits.MAX_FRAME_BYTES


def test_a_small_message_with_full_tables_fits_a_frame() -> None:
    """The largest message that travels whole in one frame fits one."""
    per_entry = 8 + 12

    assert HEAD_SIZE + per_entry * limits.MAX_TABLE_ENTRIES + sender.MAX_SMALL_BODY <= limits.MAX_FRAME_BYTES


def test_a_small_message_is_received_by_one_step() -> None:
    """A message without tables that counts as small fits what one reception takes, with header and tag."""
    assert HEADER_SIZE + TAG_SIZE + HEAD_SIZE + sender.MAX_SMALL_BODY <= limits.SMALL_MESSAGE_BYTES


def test_pieces_of_keyed_connections_fit_a_frame() -> None:
    """The pieces in which keyed connections copy large values are no larger than a frame."""
    assert sender._KEYED_PIECE_BYTES <= limits.MAX_FRAME_BYTES
