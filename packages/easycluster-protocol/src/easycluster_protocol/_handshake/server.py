"""The server's end of the handshake, see `handshake`."""

from __future__ import annotations

import os
from hmac import compare_digest
from typing import Any, Callable, Mapping, Optional, Tuple

from easycluster_protocol.errors import AuthenticationError, VersionError

from .handshake import Handshake, check_versions
from .hello import CHALLENGE, HELLO, PROOF, REFUSE, VERSION, WELCOME, Hello, describe_self
from .secrets import NONCE_SIZE, Secrets, key_id


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
        self._secrets: Optional[Secrets] = None
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
        check_versions(self._own, hello)
        if self._key is None:
            self._send(WELCOME, self._own)
            self._agree(self._own, hello, None, None, self._name)
            return
        if len(hello.nonce) != NONCE_SIZE or not compare_digest(hello.key_id, key_id(self._key)):
            raise AuthenticationError("the key is not the one of this server")
        self._send(CHALLENGE, self._own)
        self._secrets = Secrets(self._key, hello.nonce, self._own.nonce, self._transcript)
        self._state = "wait for proof"

    def _on_proof(self, hello: Hello, before: bytes) -> None:
        assert self._secrets is not None and self.peer is not None
        if not compare_digest(self._secrets.client_proof(before), hello.proof):
            raise AuthenticationError("the key is not the one of this server")
        proof = self._secrets.server_proof(self._transcript + self._name)
        self._send(WELCOME, Hello(proof=proof, session=self._name))
        self._agree(self._own, self.peer, self._secrets.to_client, self._secrets.to_server, self._name)

    _handlers: Mapping[Tuple[str, int], Callable[[Any, Hello, bytes], None]] = {
        ("wait for hello", HELLO): _on_hello,
        ("wait for proof", PROOF): _on_proof,
    }
