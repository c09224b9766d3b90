"""Runs a handshake over a transport that blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, List, Optional

from easycluster_protocol._wire.link import Link

from .transport import EndOfStream

if TYPE_CHECKING:
    from easycluster_protocol._handshake.handshake import Handshake

    from .transport import Transport


class _Inbox:
    """Stands where a transport expects a receiver, and only collects the bytes."""

    direct = None

    def __init__(self) -> None:
        self.inbox: List[bytes] = []


def shake_hands(
    handshake: Handshake, transport: Transport, role: str, wait: Optional[Callable[[int], object]] = None
) -> Link:
    """Run a handshake to its end and return the link that it opens.

    Args:
        handshake: this end of it.
        transport: leads to the peer.
        role: this end of the link, `CLIENT` or `SERVER`.
        wait: called before each reception with the descriptor on which the bytes will come. It may raise when
            they take too long; without it the reception waits as long as they take.

    Raises:
        ConnectError: the handshake failed, or the peer closed the connection.
        RemoteProtocolError: the peer does not speak our protocol.
        OSError: the connection broke.
    """
    while handshake.agreement is None:
        _send_pending(handshake, transport)
        if wait is not None:
            wait(transport.fileno())
        _receive_once(handshake, transport)
    _send_pending(handshake, transport)
    return Link(role, handshake.agreement, handshake.leftover)


def _send_pending(handshake: Handshake, transport: Transport) -> None:
    data = handshake.data_to_send()
    while data:
        sent: List[int] = []
        try:
            transport.send(sent, [data], True)
        except (BrokenPipeError, ConnectionResetError):
            _receive_once(handshake, transport)  # raises the refusal, if there is one
            raise
        data = data[sum(sent) :]


def _receive_once(handshake: Handshake, transport: Transport) -> None:
    received = _Inbox()
    try:
        transport.receive(received, True)
    except EndOfStream:
        handshake.receive_eof()
    handshake.receive_data(b"".join(received.inbox))
