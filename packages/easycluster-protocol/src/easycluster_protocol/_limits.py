"""Every limit of the wire, each with its reason."""

from __future__ import annotations

#: The most payload that one frame carries. Between two frames of a large message small ones pass,
#: so this bounds how long a ping waits; at 1 MiB the fixed cost per frame is below 1 %.
MAX_FRAME_BYTES = 1 << 20

#: A message up to this size travels whole in one frame; credit never holds it back.
#: It is also what one ``recv`` takes: larger reads cost more even when little arrives.
SMALL_MESSAGE_BYTES = 1 << 16

#: Buffers from this size on leave the pickle and travel as they are. Below it, copying into the
#: pickle is cheaper than a frame of their own.
OUT_OF_BAND_BYTES = 1 << 15

#: Payloads below this size are not worth compressing.
COMPRESS_FROM_BYTES = 512

#: All that is held for a peer that has not proved the key (both directions of its handshake).
MAX_HANDSHAKE_BYTES = 4096

#: Seconds that a peer has to prove the key.
HANDSHAKE_SECONDS = 10.0

#: Streams (large messages under way) that one peer may have open at once: every thread of a
#: large master may send one, and nobody needs more.
MAX_STREAMS = 1 << 14

#: The most entries in one table of a message (object ids, releases, buffers), so that a table
#: always fits a frame.
MAX_TABLE_ENTRIES = 1 << 15
