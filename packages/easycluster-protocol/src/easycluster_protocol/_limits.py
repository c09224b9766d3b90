"""Every limit of the wire, each with its reason."""

from __future__ import annotations

#: The most payload that one frame carries. Small messages may pass between two frames of a large one,
#: so this bounds how long a ping waits; at 1 MiB the fixed cost per frame is below 1 %.
MAX_FRAME_BYTES = 1 << 20

#: A message up to this size travels in one frame, and needs no credit. It is also the size that one
#: ``recv`` asks for: larger reads cost more even when little arrives.
SMALL_MESSAGE_BYTES = 1 << 16

#: Buffers of this size and more travel beside the pickle. Copying smaller ones into the pickle is cheaper
#: than a frame of their own.
OUT_OF_BAND_BYTES = 1 << 15

#: Smaller payloads are not worth compressing.
COMPRESS_FROM_BYTES = 512

#: The most that is held for a peer that has not proved the key: both directions of its handshake.
MAX_HANDSHAKE_BYTES = 4096

#: Seconds in which a peer has to prove the key.
HANDSHAKE_SECONDS = 10.0

#: The most large messages that one peer may have under way at once: every thread of a large master may
#: send one. Each may make the receiver hold 5 KiB more than has come, see `_wire.streams`.
MAX_STREAMS = 1 << 13

#: While at most this many are under way, each may make the receiver hold 2 MiB more than has come, because
#: that is faster.
FEW_STREAMS = 8

#: The most entries in one table of a message (object ids, releases, buffers): a table always fits a frame.
MAX_TABLE_ENTRIES = 1 << 15
