"""Runs a handshake over a transport that blocks."""

from __future__ import annotations

from typing import Any, List

from easycluster_protocol._handshake.handshake import Handshake
from easycluster_protocol._wire.link import Link

from .transport import EndOfStream


class _Bytes:
    """Stands where a transport expects a receiver or a sender: only collects."""

    direct = None

    def __init__(self) -> None:
        self.inbox: List[bytes] = []
        self.sent: List[int] = []


def send_pending(handshake: Handshake, transport: Any) -> None:
    """Send what the handshake wants sent."""
    data = handshake.data_to_send()
    while data:
        step = _Bytes()
        transport.send(step.sent, [data], True)
        data = data[sum(step.sent) :]


def receive_once(handshake: Handshake, transport: Any) -> None:
    """Wait for bytes of the peer and hand them to the handshake.

    Raises:
        ConnectError: the handshake failed, or the peer closed the connection.
        RemoteProtocolError: the peer does not speak our protocol.
    """
    step = _Bytes()
    try:
        transport.receive(step, True)
    except EndOfStream:
        handshake.receive_eof()
    handshake.receive_data(b"".join(step.inbox))


def complete(handshake: Handshake, transport: Any, role: str) -> Link:
    """Run ``handshake`` to its end and return the link that it opens.

    Raises:
        ConnectError: the handshake failed.
        RemoteProtocolError: the peer does not speak our protocol.
        OSError: the connection broke.
    """
    while handshake.agreement is None:
        send_pending(handshake, transport)
        receive_once(handshake, transport)
    send_pending(handshake, transport)
    return Link(role, handshake.agreement, handshake.leftover)
