"""Whether a keyed connection is encrypted, and how: both ends choose alike, from their two descriptions.

TLS begins after the handshake, so a peer has proved the key before anything of TLS happens. HELLO and
CHALLENGE carry what each end wants (the field `tls`) and the ways that it can go (among its `capabilities`);
both are in the transcript that the proofs cover, so nobody between the ends can take them away.

``tls-psk``   the two ends use a key that follows from the shared key and the transcript.
``tls-cert``  the server shows a certificate. Then each end proves, inside TLS, that it holds the shared key
              and sees this certificate.

The first is chosen where both are possible: it proves both ends by itself. An end that insists on
certificates does not name it.
"""

from __future__ import annotations

import hmac
from hashlib import sha256
from typing import TYPE_CHECKING, Dict, List, Optional

from easycluster_protocol.errors import ConnectError

from .handshake import make_printable
from .hello import CANCEL

if TYPE_CHECKING:
    from .hello import Encryption, FieldValue, Hello

#: Values of the field `tls`.
OFF, AUTO, REQUIRE = 0, 1, 2

#: The same, as users write them.
MODES = {"auto": AUTO, "require": REQUIRE, "off": OFF}

#: Names of the ways, as `capabilities` has them.
BY_KEY = "tls-psk"
BY_CERTIFICATE = "tls-cert"

_DESCRIPTIONS = {
    BY_KEY: "TLS 1.3 with the shared key",
    BY_CERTIFICATE: "TLS 1.3 with the server's certificate",
}


def check_mode(mode: str, name: str) -> int:
    """Return the value of the field `tls` for what a user wrote.

    Args:
        mode: ``auto``, ``require`` or ``off``.
        name: the option, for the message.

    Raises:
        ValueError: it is none of these.
    """
    if mode in MODES:
        return MODES[mode]
    raise ValueError(f"{name} must be auto, require or off, not {mode!r}")


def make_fields(tls: int, ways: List[str]) -> Dict[str, FieldValue]:
    """Return the fields of HELLO or CHALLENGE that say what this end wants and can.

    Raises:
        ValueError: it requires TLS and names no way, so handshakes would not heed it, see `names_way`.
    """
    if tls == REQUIRE and not ways:
        raise ValueError("an end that requires TLS has to name a way")
    if not tls or not ways:
        return {"tls": tls}
    return {"tls": tls, "capabilities": ",".join([CANCEL, *ways])}


def choose(own: Hello, peer: Hello, peer_name: str) -> str:
    """Return the way in which a connection is encrypted, or "".

    Args:
        own: the description of this end.
        peer: the description of the other end.
        peer_name: "the client" or "the server", for the message.

    Raises:
        ConnectError: this end requires TLS, and there is no way; the message says which end cannot.
    """
    if own.tls and peer.tls:
        for way in (BY_KEY, BY_CERTIFICATE):
            if own.can(way) and peer.can(way):
                return way
    if own.tls == REQUIRE:
        raise ConnectError(f"TLS is required here, and {_explain(own, peer, peer_name)}")
    return ""


def names_way(end: Hello) -> bool:
    """Return whether an end names a way of TLS; one that names none has no TLS, whatever its `tls` says."""
    return any(end.can(way) for way in _DESCRIPTIONS)


def _explain(own: Hello, peer: Hello, peer_name: str) -> str:
    if "tls" not in peer.given:
        return f"{peer_name} runs a version of EasyCluster without TLS: install a newer one there"
    is_client = peer_name == "the server"
    if not peer.tls:
        return f"{peer_name} has switched it off ({'--tls off' if is_client else 'tls=off'})"
    client, server = (own, peer) if is_client else (peer, own)
    if server.can(BY_CERTIFICATE):
        return "the client's Python is built without TLS: install one with the module ssl there"
    lacking = [
        f"{name} {_explain_lack(end)}"
        for name, end in (("the client", client), ("the server", server))
        if not end.can(BY_KEY)
    ]
    return f"{' and '.join(lacking)}: give the server a certificate (--tls-cert), or {_ADVICE}"


_ADVICE = "use Python 3.13 or newer at both ends, which can encrypt with the shared key alone"


def _explain_lack(end: Hello) -> str:
    if end.can(BY_CERTIFICATE) and end.tls == REQUIRE and is_new_enough(end.python):
        return "asks for a certificate, which the server has not"
    return f"has Python {make_printable(end.python, 20) or 'of unknown version'}"


def is_new_enough(python: str) -> bool:
    """Return whether this version of Python, as "3.13.1", has TLS with a shared key, as far as it says."""
    try:
        return tuple(map(int, python.split(".")[:2])) >= (3, 13)
    except ValueError:
        return False


def describe(encryption: Optional[Encryption]) -> str:
    """Return what protects a keyed connection, for people."""
    if encryption is None:
        return "HMAC-SHA256 by the shared key, not encrypted"
    return _DESCRIPTIONS[encryption[0]]


def bind(secret: bytes, end: str, certificate: bytes) -> bytes:
    """Return what an end sends inside TLS by certificate, to prove that it holds the shared key.

    The certificate is in it, so that nobody can pass on what was meant for a server with another one.

    Args:
        secret: the secret of the connection for this way.
        end: "client" or "server".
        certificate: that of the server, in DER.
    """
    return hmac.new(secret, end.encode() + sha256(certificate).digest(), sha256).digest()
