"""Workers of fork servers, as the tests of these start them."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

from easycluster_protocol._handshake.client import ClientHandshake
from easycluster_protocol._wire.link import CLIENT
from easycluster_server._io.handshake import shake_hands
from easycluster_server._io.transport import SocketTransport
from helpers.waiting import PATIENCE

if TYPE_CHECKING:
    from easycluster_server._processes.worker import Config
    from easycluster_server._system.posix.worker_starter import ForkServer


def spawn(fork_server: ForkServer, config: Config | None = None) -> int:
    """Start a worker, shake hands with it and let it go; return its process id."""
    ours, theirs = socket.socketpair()
    ours.settimeout(PATIENCE)
    with ours:
        with theirs:
            fork_server.spawn(theirs, config or {})
        handshake = ClientHandshake(None)
        shake_hands(handshake, SocketTransport(ours), CLIENT)
        assert handshake.peer is not None
        return int(handshake.peer.process)


def open_descriptors() -> set[str]:
    """Those of this process."""
    return set(os.listdir("/proc/self/fd"))
