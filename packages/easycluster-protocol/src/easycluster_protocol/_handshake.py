"""The handshake: it comes first on every connection, and nothing is unpickled before its end.

Every packet is::

    offset  size  field
    0       4     "EZCL"
    4       1     type: HELLO, CHALLENGE, PROOF, WELCOME or REFUSE
    5       1     zero
    6       2     length of what follows, big-endian
    8       ...   fields, see `_hello`

Private connections (ssh, pipes, local): the client sends HELLO, the server WELCOME.

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
"""

from __future__ import annotations

import hashlib
import hmac
import os
import struct
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

from ._hello import VERSION, Hello, describe_self
from ._limits import MAX_HANDSHAKE
from .errors import AuthenticationError, ConnectError, RemoteProtocolError, VersionError

MAGIC = b"EZCL"
_PREFIX = struct.Struct(">4sBBH")

HELLO, CHALLENGE, PROOF, WELCOME, REFUSE = 1, 2, 3, 4, 5

NONCE_SIZE = 32

#: How both ends of EasyCluster 0.x begin (observed on 0.22.3): a 16-byte message follows.
_PUBLISHED = b"\x01\x00\x00\x00\x10"


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
        send_key: Optional[bytes],
        receive_key: Optional[bytes],
        name: bytes,
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


def key_id(key: bytes) -> bytes:
    """Return the 8 bytes by which a key is named before it is proved."""
    return hmac.new(key, b"easycluster 1 key id", hashlib.sha256).digest()[:8]


def expand(secret: bytes, label: bytes, context: bytes) -> bytes:
    """Return 32 bytes: HKDF-Expand of RFC 5869 with SHA-256, for one block."""
    return hmac.new(secret, label + context + b"\1", hashlib.sha256).digest()


class _Secrets:
    """All keys that follow from the shared key and the first two packets."""

    def __init__(self, key: bytes, client_nonce: bytes, server_nonce: bytes, opening: bytes) -> None:
        secret = hmac.new(client_nonce + server_nonce, key, hashlib.sha256).digest()
        context = hashlib.sha256(opening).digest()
        self._client_proof = expand(secret, b"easycluster 1 client proof", context)
        self._server_proof = expand(secret, b"easycluster 1 server proof", context)
        self.to_server = expand(secret, b"easycluster 1 to server", context)
        self.to_client = expand(secret, b"easycluster 1 to client", context)

    def client_proof(self, transcript: bytes) -> bytes:
        return hmac.new(self._client_proof, transcript, hashlib.sha256).digest()

    def server_proof(self, transcript: bytes) -> bytes:
        return hmac.new(self._server_proof, transcript, hashlib.sha256).digest()


class Handshake:
    """One end of a handshake: bytes in, bytes out, and in the end a `session`.

    The subclasses hold the table of what may come in which state; what is not in the table is an
    error. After any error the handshake is over and `session` stays None.

    Attributes:
        session: what was agreed on, once the handshake is done.
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
        self.session: Optional[Session] = None
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
            while self.session is None and self._receive_packet():
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
            raise RemoteProtocolError(_name_stranger(self._buffer))
        if len(self._buffer) < _PREFIX.size:
            return False
        _, kind, zero, length = _PREFIX.unpack_from(self._buffer)
        if zero or len(self._transcript) + _PREFIX.size + length > MAX_HANDSHAKE:
            raise RemoteProtocolError("the peer sent a handshake packet that is too large or illegal")
        end = _PREFIX.size + length
        if len(self._buffer) < end:
            return False
        packet, self._buffer = self._buffer[:end], self._buffer[end:]
        handler = self._handlers.get((self._state, kind))
        if handler is None:
            raise RemoteProtocolError(f"the peer sent handshake packet {kind} in state {self._state!r}")
        before, self._transcript = self._transcript, self._transcript + packet
        handler(self, Hello.decode(packet[_PREFIX.size :]), before)
        return True

    def _send(self, kind: int, hello: Hello) -> None:
        payload = hello.encode()
        packet = _PREFIX.pack(MAGIC, kind, 0, len(payload)) + payload
        self._transcript += packet
        self._out.append(packet)

    def _agree(
        self, own: Hello, peer: Hello, send: Optional[bytes], receive: Optional[bytes], name: bytes
    ) -> None:
        # Both ends must come to the same answer, so what either can read counts for both directions.
        both_can = all("zlib" in end.codecs.split(",") for end in (own, peer))
        compress = bool(own.compress or peer.compress) and both_can
        pickle_protocol = min(own.pickle_protocol, peer.pickle_protocol)
        self._state = "done"
        self.session = Session(peer, pickle_protocol, compress, send, receive, name)


def _name_stranger(data: bytes) -> str:
    """Say what a peer is that does not begin as ours does."""
    sample = bytes(data[:40])
    if sample.startswith((b"GET ", b"POST", b"HTTP", b"HEAD", b"PUT ")):
        return "the peer speaks HTTP, not the protocol of EasyCluster"
    if sample.startswith(b"SSH-"):
        return "the peer is an ssh server; to connect by ssh, write user@host or add :ssh=yes to the spec"
    if sample.startswith(_PUBLISHED):
        return (
            "the peer is a published EasyCluster (0.x), which speaks another protocol: "
            "install EasyCluster 1 at both ends"
        )
    return f"the peer does not speak the protocol of EasyCluster: it sent {sample!r}"


def _printable(text: str, length: int) -> str:
    """Return the beginning of a text that anybody may have sent, fit for a terminal or a log."""
    return "".join(char for char in text[:length] if char.isprintable())


def _check_versions(own: Hello, peer: Hello) -> None:
    if peer.protocol_low > own.protocol_high or own.protocol_low > peer.protocol_high:
        version = _printable(peer.version, 40) or "of unknown version"
        raise VersionError(
            f"EasyCluster {own.version} here speaks protocol {own.protocol_low} to {own.protocol_high}, "
            f"EasyCluster {version} there {peer.protocol_low} to "
            f"{peer.protocol_high}: install the same version at both ends"
        )


class ClientHandshake(Handshake):
    """The client's end.

    Args:
        key: the shared key; None for a private connection.
        compress: whether the connection should be compressed.
        fields: further fields of HELLO, for tests and for later extensions.
    """

    def __init__(self, key: Optional[bytes] = None, compress: bool = False, **fields: object) -> None:
        super().__init__("wait for challenge" if key is not None else "wait for welcome")
        self._key = key
        self._secrets: Optional[_Secrets] = None
        if key is not None:
            fields = {"nonce": os.urandom(NONCE_SIZE), "key_id": key_id(key), **fields}
        self._own = describe_self(compress=int(compress), **fields)
        self._send(HELLO, self._own)

    def _on_challenge(self, hello: Hello, before: bytes) -> None:
        assert self._key is not None
        self.peer = hello
        _check_versions(self._own, hello)
        if len(hello.nonce) != NONCE_SIZE or hello.nonce == self._own.nonce:
            raise RemoteProtocolError("the server's challenge is not fresh")
        self._secrets = _Secrets(self._key, self._own.nonce, hello.nonce, self._transcript)
        self._send(PROOF, Hello(proof=self._secrets.client_proof(self._transcript)))
        self._state = "wait for proof"

    def _on_proof(self, hello: Hello, before: bytes) -> None:
        assert self._secrets is not None and self.peer is not None
        expected = self._secrets.server_proof(before + hello.session)
        if not hmac.compare_digest(expected, hello.proof):
            raise AuthenticationError("the server does not hold the same key")
        self._agree(self._own, self.peer, self._secrets.to_server, self._secrets.to_client, hello.session)

    def _on_welcome(self, hello: Hello, before: bytes) -> None:
        self.peer = hello
        _check_versions(self._own, hello)
        self._agree(self._own, hello, None, None, hello.session)

    def _on_refuse(self, hello: Hello, before: bytes) -> None:
        errors: Dict[str, type] = {"key": AuthenticationError, "version": VersionError}
        # The refusal is not authenticated: its text is shown as what the other side claims.
        text = _printable(hello.text, 500)
        raise errors.get(hello.code, ConnectError)(f"the server refused the connection: {text}")

    _handlers: Mapping[Tuple[str, int], Callable[[Any, Hello, bytes], None]] = {
        ("wait for challenge", CHALLENGE): _on_challenge,
        ("wait for challenge", REFUSE): _on_refuse,
        ("wait for proof", WELCOME): _on_proof,
        ("wait for proof", REFUSE): _on_refuse,
        ("wait for welcome", WELCOME): _on_welcome,
        ("wait for welcome", REFUSE): _on_refuse,
    }


class ServerHandshake(Handshake):
    """The server's end.

    Args:
        key: the shared key; None for a private connection.
        session: the name that this session shall have, random bytes.
        fields: further fields of CHALLENGE or WELCOME.
    """

    def __init__(self, key: Optional[bytes] = None, session: bytes = b"", **fields: object) -> None:
        super().__init__("wait for hello")
        self._key = key
        self._name = session
        self._secrets: Optional[_Secrets] = None
        if key is not None:
            fields = {"nonce": os.urandom(NONCE_SIZE), **fields}
        else:
            fields = {"session": session, **fields}
        self._own = describe_self(**fields)

    def receive_data(self, data: bytes) -> None:
        """Take in ``data``; as `Handshake.receive_data`, but a refusal is ready to be sent then."""
        try:
            super().receive_data(data)
        except (AuthenticationError, VersionError) as error:
            code = "key" if isinstance(error, AuthenticationError) else "version"
            self._send(REFUSE, Hello(code=code, text=str(error), version=VERSION))
            raise

    def refuse(self, code: str, text: str) -> None:
        """End the handshake with a refusal, which `data_to_send` then returns."""
        self._state = "failed"
        self._send(REFUSE, Hello(code=code, text=text, version=VERSION))

    def _on_hello(self, hello: Hello, before: bytes) -> None:
        self.peer = hello
        _check_versions(self._own, hello)
        if self._key is None:
            self._send(WELCOME, self._own)
            self._agree(self._own, hello, None, None, self._name)
            return
        if len(hello.nonce) != NONCE_SIZE or not hmac.compare_digest(hello.key_id, key_id(self._key)):
            raise AuthenticationError("the key is not the one of this server")
        self._send(CHALLENGE, self._own)
        self._secrets = _Secrets(self._key, hello.nonce, self._own.nonce, self._transcript)
        self._state = "wait for proof"

    def _on_proof(self, hello: Hello, before: bytes) -> None:
        assert self._secrets is not None and self.peer is not None
        if not hmac.compare_digest(self._secrets.client_proof(before), hello.proof):
            raise AuthenticationError("the key is not the one of this server")
        proof = self._secrets.server_proof(self._transcript + self._name)
        self._send(WELCOME, Hello(proof=proof, session=self._name))
        self._agree(self._own, self.peer, self._secrets.to_client, self._secrets.to_server, self._name)

    _handlers: Mapping[Tuple[str, int], Callable[[Any, Hello, bytes], None]] = {
        ("wait for hello", HELLO): _on_hello,
        ("wait for proof", PROOF): _on_proof,
    }
