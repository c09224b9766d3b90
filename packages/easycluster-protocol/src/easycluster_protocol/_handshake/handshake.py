"""The handshake: it comes first on every connection, and nothing is unpickled before its end.

Every packet is::

    offset  size  field
    0       4     "EZCL"
    4       1     type: HELLO, CHALLENGE, PROOF, WELCOME or REFUSE
    5       1     zero
    6       2     length of what follows, big-endian
    8       ...   fields, see `hello`

Private connections (ssh, pipes, local): the client sends HELLO, the server WELCOME. A server that the
client has sent itself, as over ssh, is told with its code what HELLO would say.

Keyed connections::

    client                               server
    HELLO  versions, key id, nonce   →
                                     ←   CHALLENGE  versions, nonce
    PROOF  HMAC(prove-c, transcript) →
                                     ←   WELCOME    HMAC(prove-s, transcript), session

The transcript is every byte of the packets before, so nothing in it (versions, wishes, offers) can
be changed by somebody between the two. It holds no address, because tunnels change addresses.
The client proves the key first: a stranger learns nothing. Then, after RFC 5869::

    secret     = HKDF-Extract(salt = client nonce + server nonce, key)
    prove-c    = HKDF-Expand(secret, "easycluster 1 client proof" + H(HELLO + CHALLENGE), 32)
    prove-s    = HKDF-Expand(secret, "easycluster 1 server proof" + ..., 32)
    to server  = HKDF-Expand(secret, "easycluster 1 to server"    + ..., 32)   keys of the frames
    to client  = HKDF-Expand(secret, "easycluster 1 to client"    + ..., 32)

Here stands what both ends share; `client` and `server` are the ends, and
`secrets` the formulas.
"""

from __future__ import annotations

from typing import Any, Callable, List, Mapping, Optional, Tuple

from easycluster_protocol._limits import MAX_HANDSHAKE_BYTES
from easycluster_protocol.errors import ConnectError, RemoteProtocolError, VersionError

from .foreign import may_be_published, name_stranger
from .hello import MAGIC, PREFIX, Agreement, Hello, agree, packet
from .hello_parser import parse_hello


class Handshake:
    """One end of a handshake: bytes in, bytes out, and in the end an `agreement`.

    The subclasses hold the table of what may come in which state; what is not in the table is an
    error. After any error the handshake is over and `agreement` stays None.

    Attributes:
        agreement: what was agreed on, once the handshake is done.
        peer: what the peer said of itself, as soon as it did.
    """

    #: (state, type of packet) → what deals with it; its arguments are the handshake, the fields
    #: of the packet, and the transcript before the packet.
    _handlers: Mapping[Tuple[str, int], Callable[[Any, Hello, bytes], None]] = {}

    def __init__(self, state: str) -> None:
        self._state = state
        self._buffer = b""
        self._out: List[bytes] = []
        self._transcript = b""
        self.agreement: Optional[Agreement] = None
        self.peer: Optional[Hello] = None

    def data_to_send(self) -> bytes:
        """Return the bytes to send now, and forget them."""
        data = b"".join(self._out)
        self._out = []
        return data

    @property
    def leftover(self) -> bytes:
        """The bytes after the handshake's end that came with it."""
        return self._buffer

    def receive_data(self, data: bytes) -> None:
        """Take in ``data``, any part of what the peer sent. Then send `data_to_send`.

        Raises:
            AuthenticationError: the peer does not hold the same key.
            VersionError: the two ends cannot work together.
            ConnectError: the peer refused for another reason.
            RemoteProtocolError: this is not our handshake.
        """
        self._buffer += data
        try:
            while self.agreement is None and self._receive_packet():
                pass
        except Exception:
            self._state, self._buffer = "failed", b""
            raise

    def receive_eof(self) -> None:
        """Say that the peer closed the connection; always raises `ConnectError`."""
        self._state = "failed"
        raise ConnectError("the peer closed the connection during the handshake")

    def _receive_packet(self) -> bool:
        if not MAGIC.startswith(self._buffer[:4]):
            if may_be_published(bytes(self._buffer)):
                return False
            raise RemoteProtocolError(name_stranger(self._buffer))
        if len(self._buffer) < PREFIX.size:
            return False
        _, kind, zero, length = PREFIX.unpack_from(self._buffer)
        if zero or len(self._transcript) + PREFIX.size + length > MAX_HANDSHAKE_BYTES:
            raise RemoteProtocolError("the peer sent a handshake packet that is too large or illegal")
        end = PREFIX.size + length
        if len(self._buffer) < end:
            return False
        data, self._buffer = self._buffer[:end], self._buffer[end:]
        handler = self._handlers.get((self._state, kind))
        if handler is None:
            raise RemoteProtocolError(f"the peer sent handshake packet {kind} in state {self._state!r}")
        before, self._transcript = self._transcript, self._transcript + data
        handler(self, parse_hello(data[PREFIX.size :]), before)
        return True

    def _send(self, kind: int, hello: Hello) -> None:
        data = packet(kind, hello)
        self._transcript += data
        self._out.append(data)

    def _agree(
        self, own: Hello, peer: Hello, send: Optional[bytes], receive: Optional[bytes], name: bytes
    ) -> None:
        self._state = "done"
        self.agreement = agree(own, peer, send, receive, name)


def printable(text: str, length: int) -> str:
    """Return the beginning of a text that anybody may have sent, fit for a terminal or a log."""
    return "".join(char for char in text[:length] if char.isprintable())


def check_versions(own: Hello, peer: Hello) -> None:
    if peer.protocol_low > own.protocol_high or own.protocol_low > peer.protocol_high:
        version = printable(peer.version, 40) or "of unknown version"
        raise VersionError(
            f"EasyCluster {own.version} here speaks protocol {own.protocol_low} to {own.protocol_high}, "
            f"EasyCluster {version} there {peer.protocol_low} to "
            f"{peer.protocol_high}: install the same version at both ends"
        )
