"""The handshake: it comes first on every connection, and nothing is unpickled before its end.

Theory of operation
===================

A handshake consists of two or four packets. Every packet is::

    offset  size  field
    0       4     "EZCL"
    4       1     type: HELLO, CHALLENGE, PROOF, WELCOME or REFUSE
    5       1     zero
    6       2     length of the fields, big-endian
    8       ...   fields, see `hello`

**Who sends what.** On private connections (ssh, pipes, local sockets) the peer has been authenticated
already::

    client                               server
    HELLO      description           →
                                     ←   WELCOME    description, name of the session

A server that this client has sent to its host, as over ssh, got the contents of HELLO together with its code,
and begins with WELCOME. On keyed connections the two ends prove to each other that they hold the same key::

    client                               server
    HELLO      description, nonce,   →
               id of the key
                                     ←   CHALLENGE  description, nonce
    PROOF      client's proof        →
                                     ←   WELCOME    server's proof, name of the session

The rest needs no further packet: each end computes the agreement from the two descriptions (`hello.agree`).
Frames come next, on keyed connections perhaps within TLS (`encryption`); those that arrived together with the
last packet are in `Handshake.leftover`.

**What is proved, and when.** A proof is an HMAC over the transcript, which is every byte of the packets
before it, in both directions. Only a holder of the key can make one. The nonces are new for each connection,
so no recorded proof fits.

1. HELLO proves nothing. It has the id of the key, so that a client with another key is refused at once.
2. PROOF proves to the server that the client holds the key, and that both ends have seen the same HELLO and
   CHALLENGE: nobody between them has changed a version, a wish or an offer. The client proves first, so a
   stranger learns nothing. Until then the server holds at most `MAX_HANDSHAKE_BYTES` of a peer, and starts
   nothing for it.
3. WELCOME proves the same to the client, and proves the name of the session. Its other fields are not
   proved, and are ignored.

The transcript has no addresses in it, because tunnels change them. The keys of proofs and frames follow from
the shared key and the first two packets, see `secrets`.

**What ends it.** Every error is final: the state is FAILED afterwards, `agreement` stays None, and all
further packets are refused.

- `AuthenticationError`: the server does not hold the key that HELLO names, or PROOF is wrong. It sends
  REFUSE, and the client raises the same error. Or the client finds that the proof in WELCOME is wrong.
- `VersionError`: there is no version of the protocol that both ends speak. If the server finds out, it sends
  REFUSE, and the client raises the same error.
- `ConnectError`: the server refuses for another reason, or the peer closes the connection.
- `RemoteProtocolError`: the peer sends bytes that are not a packet (`foreign` says what they may be
  instead), a packet that the table does not allow in this state, one that is too large or cannot be read,
  or a nonce that is not fresh. It gets no answer.

How long a handshake may take is for the callers to decide: nothing here looks at a clock.

This module has all that the two ends share; `client` and `server` have the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, ClassVar, List, Mapping, Optional, Tuple

from easycluster_protocol._limits import MAX_HANDSHAKE_BYTES
from easycluster_protocol.errors import ConnectError, RemoteProtocolError, VersionError

from .foreign import may_be_old_easycluster, name_foreign_peer
from .hello import MAGIC, PREFIX, Agreement, Hello, agree, pack_packet
from .hello_parser import parse_hello

if TYPE_CHECKING:
    from .hello import Encryption

    #: State, type of packet → the method that deals with it, and the next state. The arguments of the method
    #: are the handshake, the fields of the packet, and the transcript before the packet.
    Transitions = Mapping[Tuple[str, int], Tuple[Callable[[Any, Hello, bytes], None], str]]

# The states of the two ends. A state says which packet an end waits for.
WAIT_FOR_WELCOME = "wait for welcome"  # client of a private connection, at first
WAIT_FOR_CHALLENGE = "wait for challenge"  # client of a keyed connection, at first
WAIT_FOR_PRIVATE_HELLO = "wait for private hello"  # server of a private connection, at first
WAIT_FOR_HELLO = "wait for hello"  # server of a keyed connection, at first
WAIT_FOR_PROOF = "wait for proof"  # either end of a keyed connection
DONE = "done"
FAILED = "failed"


class Handshake:
    """One end of a handshake: bytes in, bytes out, and in the end an `agreement`.

    The subclasses have the table of transitions. A packet that is not in the table is an error.

    Attributes:
        state: one of the states above.
        agreement: the result, once the handshake is done.
        peer: the description of the peer, as soon as it has arrived.
        code_key: the key of the client's code, once the handshake is done; None: the client sends none, see
            `upgrade`.
    """

    TRANSITIONS: ClassVar[Transitions] = {}

    def __init__(self, state: str) -> None:
        self.state = state
        self._buffer = b""
        self._out: List[bytes] = []
        self._transcript = b""
        self.agreement: Optional[Agreement] = None
        self.peer: Optional[Hello] = None
        self.code_key: Optional[bytes] = None

    def data_to_send(self) -> bytes:
        """Return the bytes to send now, and forget them."""
        data = b"".join(self._out)
        self._out = []
        return data

    @property
    def leftover(self) -> bytes:
        """The bytes that arrived together with the end of the handshake and come after it."""
        return self._buffer

    def receive_data(self, data: bytes) -> None:
        """Take in ``data``, any part of what the peer sent. Then send `data_to_send`.

        Raises:
            AuthenticationError: the peer does not hold the same key.
            VersionError: the two ends cannot work together.
            ConnectError: the peer refused for another reason.
            RemoteProtocolError: the peer does not follow the protocol.
        """
        self._buffer += data
        try:
            while self.agreement is None and self._receive_packet():
                pass
            if self.agreement is not None and self.agreement.tls and self._buffer:
                # Anybody could have added them: what follows is protected by TLS alone.
                raise RemoteProtocolError("the peer sent something between the handshake and TLS")
        except Exception:
            self.state, self._buffer, self.agreement = FAILED, b"", None
            raise

    def receive_eof(self) -> None:
        """Say that the peer closed the connection; always raises `ConnectError`."""
        self.state = FAILED
        raise ConnectError("the peer closed the connection during the handshake")

    def _receive_packet(self) -> bool:
        """Deal with one packet; return False if more bytes are needed."""
        if not MAGIC.startswith(self._buffer[:4]):
            if may_be_old_easycluster(self._buffer):
                return False
            raise RemoteProtocolError(name_foreign_peer(self._buffer))
        if len(self._buffer) < PREFIX.size:
            return False
        _, kind, zero, length = PREFIX.unpack_from(self._buffer)
        if zero or len(self._transcript) + PREFIX.size + length > MAX_HANDSHAKE_BYTES:
            raise RemoteProtocolError("the peer sent a handshake packet that is too large or illegal")
        end = PREFIX.size + length
        if len(self._buffer) < end:
            return False
        data, self._buffer = self._buffer[:end], self._buffer[end:]
        transition = self.TRANSITIONS.get((self.state, kind))
        if transition is None:
            raise RemoteProtocolError(f"the peer sent handshake packet {kind} in state {self.state!r}")
        handle, after = transition
        before, self._transcript = self._transcript, self._transcript + data
        handle(self, parse_hello(data[PREFIX.size :]), before)
        self.state = after
        return True

    def _send(self, kind: int, hello: Hello) -> None:
        data = pack_packet(kind, hello)
        self._transcript += data
        self._out.append(data)

    def _agree(
        self,
        own: Hello,
        peer: Hello,
        send: Optional[bytes],
        receive: Optional[bytes],
        name: bytes,
        tls: Optional[Encryption] = None,
    ) -> None:
        if tls is not None:
            send = receive = None
        self.agreement = agree(own, peer, send, receive, name)
        self.agreement.tls = tls


def make_printable(text: str, length: int) -> str:
    """Return the beginning of a text that anybody may have sent, fit for a terminal or a log."""
    return "".join(char for char in text[:length] if char.isprintable())


def check_versions(own: Hello, peer: Hello) -> None:
    """Raise `VersionError` unless there is a version of the protocol that both ends speak."""
    if peer.protocol_low > own.protocol_high or own.protocol_low > peer.protocol_high:
        version = make_printable(peer.version, 40) or "of unknown version"
        raise VersionError(
            f"EasyCluster {own.version} here speaks protocol {own.protocol_low} to {own.protocol_high}, "
            f"EasyCluster {version} there {peer.protocol_low} to "
            f"{peer.protocol_high}: install the same version at both ends"
        )
