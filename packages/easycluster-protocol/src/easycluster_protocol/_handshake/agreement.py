"""What the two ends of a connection agree on once each knows what the other says of itself."""

from __future__ import annotations

from typing import Optional

from .hello import Hello


class Session:
    """What a handshake agrees on.

    Attributes:
        peer: what the peer said of itself.
        pickle_protocol: the highest that both ends understand.
        compress: whether both ends may compress what they send.
        send_key, receive_key: 32 bytes each; None on private connections.
        name: the name that the server gave the session, random bytes.
    """

    __slots__ = ("peer", "pickle_protocol", "compress", "send_key", "receive_key", "name")

    def __init__(
        self,
        peer: Hello,
        pickle_protocol: int,
        compress: bool,
        send_key: Optional[bytes] = None,
        receive_key: Optional[bytes] = None,
        name: bytes = b"",
    ) -> None:
        self.peer = peer
        self.pickle_protocol = pickle_protocol
        self.compress = compress
        self.send_key = send_key
        self.receive_key = receive_key
        self.name = name

    def __repr__(self) -> str:
        kind = "private" if self.send_key is None else "keyed"
        return f"<Session {kind}, pickle protocol {self.pickle_protocol}, peer {self.peer!r}>"


def agree(
    own: Hello, peer: Hello, send: Optional[bytes] = None, receive: Optional[bytes] = None, name: bytes = b""
) -> Session:
    """Return what two ends agree on that described themselves so; both come to the same answer.

    Args:
        own: what this end said.
        peer: what the other end said.
        send: the key of the frames that this end sends; None on private connections.
        receive: the key of those that it receives.
        name: the name of the session.
    """
    # What either can read counts for both directions.
    both_can = all("zlib" in end.codecs.split(",") for end in (own, peer))
    compress = bool(own.compress or peer.compress) and both_can
    return Session(peer, min(own.pickle_protocol, peer.pickle_protocol), compress, send, receive, name)
