"""Refusing a connection for which there is no process."""

from __future__ import annotations

from easycluster_protocol._handshake.hello import REFUSE, VERSION, Hello, pack_packet

from . import write_all


def refuse(descriptor: int, error: object) -> None:
    """Tell a client that waits for WELCOME why there will be none.

    Args:
        descriptor: leads to the client.
        error: why no process can be started for it.
    """
    text = f"no process can be started for it: {error}"
    try:
        write_all(descriptor, pack_packet(REFUSE, Hello(code="process", text=text, version=VERSION)))
    except OSError:  # it has left
        pass
