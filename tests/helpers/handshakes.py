"""Packets and ends of handshakes."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

from easycluster_protocol._handshake.client import ClientHandshake
from easycluster_protocol._handshake.handshake import Handshake
from easycluster_protocol._handshake.hello import Hello
from easycluster_protocol._handshake.server import ServerHandshake
from helpers.pair import KEY, Carrier

#: The first bytes of both ends of EasyCluster 0.22.3.
OLD_EASYCLUSTER = b"\x01\x00\x00\x00\x10" + bytes(range(16))


def packet(kind: int, payload: bytes | Hello = b"") -> bytes:
    """One packet of a handshake as it is written."""
    data = payload.encode() if isinstance(payload, Hello) else payload
    return b"EZCL" + struct.pack(">BBH", kind, 0, len(data)) + data


def run(client: Handshake, server: Handshake, sizes: Sequence[int] = ()) -> Carrier:
    """Carry a handshake to its end."""
    carrier = Carrier(client, server, sizes=sizes)
    carrier.run()
    return carrier


def ends() -> Iterator[Handshake]:
    """Each kind of end, as it is at first."""
    for key in (None, KEY):
        yield ClientHandshake(key)
        yield ServerHandshake(key)
