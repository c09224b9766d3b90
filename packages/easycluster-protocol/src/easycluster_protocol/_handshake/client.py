"""The client's end of the handshake, see `handshake`."""

from __future__ import annotations

import hmac
import os
from typing import TYPE_CHECKING, ClassVar, Dict, Optional

from easycluster_protocol.errors import AuthenticationError, ConnectError, RemoteProtocolError, VersionError
from easycluster_protocol.keys import hide

from .encryption import choose, names_way
from .handshake import (
    DONE,
    FAILED,
    WAIT_FOR_CHALLENGE,
    WAIT_FOR_PROOF,
    WAIT_FOR_WELCOME,
    Handshake,
    check_versions,
    make_printable,
)
from .hello import CHALLENGE, HELLO, PROOF, REFUSE, WELCOME, Hello, describe_self
from .secrets import NONCE_SIZE, Secrets, derive_key_id
from .upgrade import is_agreed

if TYPE_CHECKING:
    from .handshake import Transitions
    from .hello import FieldValue


class ClientHandshake(Handshake):
    """The client's end.

    Args:
        key: the shared key; None for a private connection.
        compress: whether the client wants the connection to be compressed.
        announced: whether the server knows the contents of HELLO already, because this client has sent it
            there; HELLO is then left out.
        fields: further fields of HELLO, for tests and for later extensions.

    Attributes:
        own: the description of this end.
    """

    def __init__(
        self,
        key: Optional[bytes] = None,
        compress: bool = False,
        announced: bool = False,
        **fields: FieldValue,
    ) -> None:
        super().__init__(WAIT_FOR_CHALLENGE if key is not None else WAIT_FOR_WELCOME)
        key = self._key = hide(key)
        self._secrets: Optional[Secrets] = None
        self._way = ""
        if key is not None:
            fields = {"nonce": os.urandom(NONCE_SIZE), "key_id": derive_key_id(key), **fields}
        self.own = describe_self(compress=int(compress), **fields)
        if not announced:
            self._send(HELLO, self.own)

    def _on_challenge(self, hello: Hello, before: bytes) -> None:
        assert self._key is not None
        self.peer = hello
        check_versions(self.own, hello)
        if len(hello.nonce) != NONCE_SIZE or hello.nonce == self.own.nonce:
            raise RemoteProtocolError("the server's challenge is not fresh")
        if names_way(self.own):
            self._way = choose(self.own, hello, "the server")
        self._secrets = Secrets(self._key, self.own.nonce, hello.nonce, self._transcript)
        self._send(PROOF, Hello(proof=self._secrets.prove_client(self._transcript)))

    def _on_server_proof(self, hello: Hello, before: bytes) -> None:
        assert self._secrets is not None and self.peer is not None
        expected = self._secrets.prove_server(before + hello.session)
        if not hmac.compare_digest(expected, hello.proof):
            raise AuthenticationError("the server does not hold the same key")
        tls = (self._way, self._secrets.derive(self._way)) if self._way else None
        secrets = self._secrets
        self._agree(self.own, self.peer, secrets.to_server, secrets.to_client, hello.session, tls)
        if is_agreed(self.own, self.peer):
            self.code_key = self._secrets.upgrade

    def _on_welcome(self, hello: Hello, before: bytes) -> None:
        self.peer = hello
        check_versions(self.own, hello)
        self._agree(self.own, hello, None, None, hello.session)

    def _on_refuse(self, hello: Hello, before: bytes) -> None:
        errors: Dict[str, type] = {"key": AuthenticationError, "version": VersionError}
        # The refusal is not authenticated: its text is shown as a claim of the other side.
        text = make_printable(hello.text, 500)
        raise errors.get(hello.code, ConnectError)(f"the server refused the connection: {text}")

    TRANSITIONS: ClassVar[Transitions] = {
        (WAIT_FOR_WELCOME, WELCOME): (_on_welcome, DONE),
        (WAIT_FOR_WELCOME, REFUSE): (_on_refuse, FAILED),
        (WAIT_FOR_CHALLENGE, CHALLENGE): (_on_challenge, WAIT_FOR_PROOF),
        (WAIT_FOR_CHALLENGE, REFUSE): (_on_refuse, FAILED),
        (WAIT_FOR_PROOF, WELCOME): (_on_server_proof, DONE),
        (WAIT_FOR_PROOF, REFUSE): (_on_refuse, FAILED),
    }
