"""Why TLS failed, for people: what was wrong, at which end, and what to do."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from easycluster_protocol.errors import ConnectError

if TYPE_CHECKING:
    from ssl import SSLCertVerificationError  # novm

    from .tls_contexts import TlsFiles

#: Codes of OpenSSL for what is wrong with a certificate.
_EXPIRED, _NOT_YET_VALID = 10, 9
_OTHER_NAME = (62, 64)
_UNKNOWN_CA = (2, 18, 19, 20, 21)


def explain_server(error: SSLCertVerificationError, host: str, files: TlsFiles) -> str:
    code = error.verify_code
    if code == _EXPIRED:
        return "the certificate of the server has expired: renew it there (--tls-cert)"
    if code == _NOT_YET_VALID:
        return "the certificate of the server is not valid yet: check the clocks of both hosts"
    if code in _OTHER_NAME:
        return (
            f"the certificate of the server does not name {host!r}: connect to a name that is in it, or make"
            " one that has this name, too (subjectAltName)"
        )
    if code in _UNKNOWN_CA:
        return (
            f"the certificate of the server is signed by no CA in {files.names[2]} {files.ca!r}: name the"
            " file of the CA that has signed it"
        )
    return f"the certificate of the server was refused: {error.verify_message}"


def explain_client(error: SSLCertVerificationError, files: TlsFiles) -> str:
    code = error.verify_code
    if code == _EXPIRED:
        return "the certificate of the client has expired (tls_cert=)"
    if code in _UNKNOWN_CA:
        return f"the certificate of the client is signed by no CA in {files.names[2]} {files.ca!r}"
    return f"the certificate of the client was refused: {error.verify_message}"


def explain_refusal(error: BaseException, files: TlsFiles) -> str:
    """Return why a server has ended TLS after its handshake: TLS 1.3 lets it refuse a client only then."""
    reason = getattr(error.__cause__, "reason", None) or ""
    if reason.endswith("ALERT_CERTIFICATE_REQUIRED"):
        return "the server demands a certificate of the client (--tls-ca): name one with tls_cert=FILE"
    if reason.endswith("ALERT_CERTIFICATE_EXPIRED"):
        return f"the server refused the certificate in {files.names[0]} {files.cert!r}: it has expired"
    if reason.endswith("ALERT_UNKNOWN_CA"):
        return (
            f"the server refused the certificate in {files.names[0]} {files.cert!r}: it is signed by no"
            " CA that the server knows (--tls-ca)"
        )
    if isinstance(error, ConnectError):
        return str(error)
    if reason:
        return f"the server refused TLS: {_name_reason(reason)}"
    return "the server closed the connection during the handshake of TLS: its log says why"


def explain_failure(error: ssl.SSLError, is_server: bool) -> str:
    peer = "the client" if is_server else "the server"
    reason = error.reason or str(error)
    if "ALERT" in reason:
        return f"{peer} refused TLS: {_name_reason(reason)}"
    return f"TLS with {peer} failed: {_name_reason(reason)}"


def _name_reason(reason: str) -> str:
    """Return a reason of OpenSSL for people: "unknown ca" for TLSV1_ALERT_UNKNOWN_CA."""
    return reason.rpartition("ALERT_")[2].replace("_", " ").lower()
