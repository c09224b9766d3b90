"""The server's end of the handshake, see `handshake`."""

from __future__ import annotations

import os
from hmac import compare_digest
from typing import TYPE_CHECKING, ClassVar, Dict, Optional, Sequence

from easycluster_protocol.errors import AuthenticationError, ConnectError, VersionError
from easycluster_protocol.keys import hide

from .encryption import BY_CERTIFICATE, choose, names_way
from .handshake import (
    DONE,
    FAILED,
    WAIT_FOR_HELLO,
    WAIT_FOR_PRIVATE_HELLO,
    WAIT_FOR_PROOF,
    Handshake,
    check_versions,
)
from .hello import (
    CHALLENGE,
    HELLO,
    PROOF,
    REFUSE,
    STATUS,
    STATUS_CAPABILITY,
    VERSION,
    WELCOME,
    Hello,
    describe_self,
)
from .secrets import NONCE_SIZE, Secrets, derive_key_id
from .upgrade import check_versions_equal, is_agreed

if TYPE_CHECKING:
    from typing import Union

    from .handshake import Transitions
    from .hello import FieldValue


class ServerHandshake(Handshake):
    """The server's end.

    Args:
        key: the shared key, or several of which the client may hold any; None for a private connection.
        session: the name of the session, random bytes.
        code_objection: why this server cannot run the code of a client of another version, and has to refuse
            it; "": it can, or treats all clients alike.
        certificate_objection: the same, where that code would need the server's certificate.
        fields: further fields of CHALLENGE or WELCOME.

    Attributes:
        own: the description of this end.
        asked_about: the name of the session about which the client asks, once it has proved the key; None: it
            wants a session of its own.
    """

    def __init__(
        self,
        key: Union[bytes, Sequence[bytes], None] = None,
        session: bytes = b"",
        code_objection: str = "",
        certificate_objection: str = "",
        **fields: FieldValue,
    ) -> None:
        super().__init__(WAIT_FOR_HELLO if key is not None else WAIT_FOR_PRIVATE_HELLO)
        key = hide(key)
        self._keys: Sequence[bytes] = (key,) if isinstance(key, bytes) else key or ()
        self._name = session
        self._code_objection = code_objection
        self._certificate_objection = code_objection or certificate_objection
        self._secrets: Optional[Secrets] = None
        self._way = ""
        self.asked_about: Optional[bytes] = None
        #: The key whose id the client has sent.
        self._named: bytes = b""
        if key is not None:
            fields = {"nonce": os.urandom(NONCE_SIZE), **fields}
        else:
            fields = {"session": session, **fields}
        self.own = describe_self(**fields)

    def receive_data(self, data: bytes) -> None:
        """Take in ``data`` as `Handshake.receive_data` does; an error of key, version or TLS leaves a refusal
        to send."""
        try:
            super().receive_data(data)
        except ConnectError as error:
            codes: Dict[type, str] = {AuthenticationError: "key", VersionError: "version"}
            self.refuse(codes.get(type(error), "tls"), str(error))
            raise

    def refuse(self, code: str, text: str) -> None:
        """End the handshake with a refusal, which `data_to_send` then returns.

        Args:
            code: the reason for programs.
            text: the reason for people.
        """
        self.state = FAILED
        self._send(REFUSE, Hello(code=code, text=text, version=VERSION))

    def set_keys(self, keys: Sequence[bytes]) -> None:
        """Let the client prove one of other keys, and none of those before."""
        self._keys = keys

    def _on_private_hello(self, hello: Hello, before: bytes) -> None:
        self.peer = hello
        check_versions(self.own, hello)
        self._send(WELCOME, self.own)
        self._agree(self.own, hello, None, None, self._name)

    def _on_hello(self, hello: Hello, before: bytes) -> None:
        self.peer = hello
        check_versions(self.own, hello)
        # Each is compared, so that the time does not tell which one it was.
        named = [key for key in self._keys if compare_digest(hello.key_id, derive_key_id(key))]
        if len(hello.nonce) != NONCE_SIZE or not named:
            raise AuthenticationError("the key is not the one of this server")
        if names_way(self.own) and not self._is_question():
            self._way = choose(self.own, hello, "the client")
        self._send(CHALLENGE, self.own)
        self._named = named[0]
        self._secrets = Secrets(self._named, hello.nonce, self.own.nonce, self._transcript)

    def _on_client_proof(self, hello: Hello, before: bytes) -> None:
        assert self._secrets is not None and self.peer is not None
        is_valid = any(compare_digest(self._named, key) for key in self._keys)
        if not compare_digest(self._secrets.prove_client(before), hello.proof) or not is_valid:
            raise AuthenticationError("the key is not the one of this server")
        if self._is_question():
            self.asked_about = self.peer.session
            return
        by_certificate = self._way == BY_CERTIFICATE
        objection = self._certificate_objection if by_certificate else self._code_objection
        check_versions_equal(self.own, self.peer, objection)
        proof = self._secrets.prove_server(self._transcript + self._name)
        self._send(WELCOME, Hello(proof=proof, session=self._name))
        tls = (self._way, self._secrets.derive(self._way)) if self._way else None
        secrets = self._secrets
        self._agree(self.own, self.peer, secrets.to_client, secrets.to_server, self._name, tls)
        if is_agreed(self.own, self.peer):
            self.code_key = self._secrets.upgrade

    def _is_question(self) -> bool:
        """Whether the client asks about a session, and this server answers such questions."""
        is_question = self.peer is not None and self.peer.purpose == STATUS
        return is_question and self.own.can(STATUS_CAPABILITY)

    def answer(self, status: bytes) -> None:
        """Answer a client that has asked about a session; the connection ends then.

        Args:
            status: the answer. The proof of the server covers it, as it does the name of a new session.
        """
        assert self._secrets is not None
        proof = self._secrets.prove_server(self._transcript + status)
        self._send(WELCOME, Hello(proof=proof, session=status))

    TRANSITIONS: ClassVar[Transitions] = {
        (WAIT_FOR_PRIVATE_HELLO, HELLO): (_on_private_hello, DONE),
        (WAIT_FOR_HELLO, HELLO): (_on_hello, WAIT_FOR_PROOF),
        (WAIT_FOR_PROOF, PROOF): (_on_client_proof, DONE),
    }
