"""The secrets of a keyed connection: all of them follow from the shared key and the first two packets.

After RFC 5869, with SHA-256; `handshake` shows the packets::

    secret    = HKDF-Extract(salt = client's nonce + server's nonce, key)
    prove-c   = HKDF-Expand(secret, "easycluster 1 client proof" + H(HELLO + CHALLENGE), 32)
    prove-s   = HKDF-Expand(secret, "easycluster 1 server proof" + H(HELLO + CHALLENGE), 32)
    to server = HKDF-Expand(secret, "easycluster 1 to server"    + H(HELLO + CHALLENGE), 32)
    to client = HKDF-Expand(secret, "easycluster 1 to client"    + H(HELLO + CHALLENGE), 32)
    of TLS    = HKDF-Expand(secret, "easycluster 1 " + way       + H(HELLO + CHALLENGE), 32)
    of code   = HKDF-Expand(secret, "easycluster 1 upgrade"      + H(HELLO + CHALLENGE), 32)

    client's proof = HMAC(prove-c, HELLO + CHALLENGE)
    server's proof = HMAC(prove-s, HELLO + CHALLENGE + PROOF + name of the session)
"""

from __future__ import annotations

import hashlib
import hmac

from easycluster_protocol.keys import Key, hide

#: Bytes of the random number that each end contributes.
NONCE_SIZE = 32


def derive_key_id(key: bytes) -> bytes:
    """Return the 8 bytes that name a key before it is proved."""
    key = hide(key)
    return hmac.new(key, b"easycluster 1 key id", hashlib.sha256).digest()[:8]


def expand(secret: bytes, label: bytes, context: bytes) -> Key:
    """Return 32 bytes: HKDF-Expand of RFC 5869 with SHA-256, for one block."""
    return Key(hmac.new(secret, label + context + b"\1", hashlib.sha256).digest())


class Secrets:
    """The keys of proofs and frames.

    Args:
        key: the shared key.
        client_nonce, server_nonce: the random numbers of the two ends.
        opening: the first two packets, HELLO and CHALLENGE, as they were sent.

    Attributes:
        to_server, to_client: the keys of the frames, one for each direction.
        upgrade: the key of the client's code, see `upgrade`.
    """

    def __init__(self, key: bytes, client_nonce: bytes, server_nonce: bytes, opening: bytes) -> None:
        key = hide(key)
        secret = Key(hmac.new(client_nonce + server_nonce, key, hashlib.sha256).digest())
        context = hashlib.sha256(opening).digest()
        self._secret, self._context = secret, context
        self._client_proof_key = expand(secret, b"easycluster 1 client proof", context)
        self._server_proof_key = expand(secret, b"easycluster 1 server proof", context)
        self.to_server = expand(secret, b"easycluster 1 to server", context)
        self.to_client = expand(secret, b"easycluster 1 to client", context)
        self.upgrade = expand(secret, b"easycluster 1 upgrade", context)

    def derive(self, way: str) -> bytes:
        """Return the secret for one of the ways of `encryption`."""
        return expand(self._secret, b"easycluster 1 " + way.encode(), self._context)

    def prove_client(self, transcript: bytes) -> bytes:
        """Return the client's proof for this transcript."""
        return hmac.new(self._client_proof_key, transcript, hashlib.sha256).digest()

    def prove_server(self, transcript: bytes) -> bytes:
        """Return the server's proof for this transcript, which ends with the name of the session."""
        return hmac.new(self._server_proof_key, transcript, hashlib.sha256).digest()
