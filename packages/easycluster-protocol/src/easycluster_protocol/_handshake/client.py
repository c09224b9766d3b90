"""The client's end of the handshake, see `handshake`."""

from __future__ import annotations

import hmac
import os
from typing import Any, Callable, Dict, Mapping, Optional, Tuple

from easycluster_protocol.errors import AuthenticationError, ConnectError, RemoteProtocolError, VersionError

from .handshake import Handshake, check_versions, printable
from .hello import CHALLENGE, HELLO, PROOF, REFUSE, WELCOME, Hello, describe_self
from .secrets import NONCE_SIZE, Secrets, key_id


class ClientHandshake(Handshake):
    """The client's end.

    Args:
        key: the shared key; None for a private connection.
        compress: whether the connection should be compressed.
        announced: whether the server, whom this end has sent there, knows already what HELLO would say;
            then there is none.
        fields: further fields of HELLO, for tests and for later extensions.

    Attributes:
        own: what this end says of itself.
    """

    def __init__(
        self, key: Optional[bytes] = None, compress: bool = False, announced: bool = False, **fields: object
    ) -> None:
        super().__init__("wait for challenge" if key is not None else "wait for welcome")
        self._key = key
        self._secrets: Optional[Secrets] = None
        if key is not None:
            fields = {"nonce": os.urandom(NONCE_SIZE), "key_id": key_id(key), **fields}
        self.own = describe_self(compress=int(compress), **fields)
        if not announced:
            self._send(HELLO, self.own)

    def _on_challenge(self, hello: Hello, before: bytes) -> None:
        assert self._key is not None
        self.peer = hello
        check_versions(self.own, hello)
        if len(hello.nonce) != NONCE_SIZE or hello.nonce == self.own.nonce:
            raise RemoteProtocolError("the server's challenge is not fresh")
        self._secrets = Secrets(self._key, self.own.nonce, hello.nonce, self._transcript)
        self._send(PROOF, Hello(proof=self._secrets.client_proof(self._transcript)))
        self._state = "wait for proof"

    def _on_proof(self, hello: Hello, before: bytes) -> None:
        assert self._secrets is not None and self.peer is not None
        expected = self._secrets.server_proof(before + hello.session)
        if not hmac.compare_digest(expected, hello.proof):
            raise AuthenticationError("the server does not hold the same key")
        self._agree(self.own, self.peer, self._secrets.to_server, self._secrets.to_client, hello.session)

    def _on_welcome(self, hello: Hello, before: bytes) -> None:
        self.peer = hello
        check_versions(self.own, hello)
        self._agree(self.own, hello, None, None, hello.session)

    def _on_refuse(self, hello: Hello, before: bytes) -> None:
        errors: Dict[str, type] = {"key": AuthenticationError, "version": VersionError}
        # The refusal is not authenticated: its text is shown as what the other side claims.
        text = printable(hello.text, 500)
        raise errors.get(hello.code, ConnectError)(f"the server refused the connection: {text}")

    _handlers: Mapping[Tuple[str, int], Callable[[Any, Hello, bytes], None]] = {
        ("wait for challenge", CHALLENGE): _on_challenge,
        ("wait for challenge", REFUSE): _on_refuse,
        ("wait for proof", WELCOME): _on_proof,
        ("wait for proof", REFUSE): _on_refuse,
        ("wait for welcome", WELCOME): _on_welcome,
        ("wait for welcome", REFUSE): _on_refuse,
    }
