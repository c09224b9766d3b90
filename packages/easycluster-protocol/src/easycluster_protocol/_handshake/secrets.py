"""The keys of a keyed connection, see `handshake`."""

from __future__ import annotations

import hashlib
import hmac

#: Bytes of the random number that each end adds.
NONCE_SIZE = 32


def key_id(key: bytes) -> bytes:
    """Return the 8 bytes by which a key is named before it is proved."""
    return hmac.new(key, b"easycluster 1 key id", hashlib.sha256).digest()[:8]


def expand(secret: bytes, label: bytes, context: bytes) -> bytes:
    """Return 32 bytes: HKDF-Expand of RFC 5869 with SHA-256, for one block."""
    return hmac.new(secret, label + context + b"\1", hashlib.sha256).digest()


class Secrets:
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
