from __future__ import annotations

import socket

from easycluster_server._system.refusal import refuse


def test_refusal_of_a_client_that_has_left() -> None:
    """When the client has left, a refusal is dropped."""
    ours, theirs = socket.socketpair()
    ours.close()
    with theirs:
        refuse(theirs.fileno(), "no room")
