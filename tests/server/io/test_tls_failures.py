from __future__ import annotations

import ssl
from typing import Any

import pytest

from easycluster_protocol.errors import ConnectError
from easycluster_server._io.tls_contexts import TlsFiles
from easycluster_server._io.tls_failures import (
    explain_client,
    explain_failure,
    explain_refusal,
    explain_server,
)

FILES = TlsFiles("cert.pem", None, "ca.pem", ("tls_cert", "tls_key", "tls_ca"))


def refused(code: int, message: str = "") -> Any:
    """The error for a certificate."""
    error = ssl.SSLCertVerificationError()
    error.verify_code, error.verify_message = code, message
    return error


def failed(reason: str) -> ssl.SSLError:
    """An error of TLS."""
    error = ssl.SSLError(1, "text")
    error.reason = reason
    return error


@pytest.mark.parametrize(
    ("code", "beginning"),
    [
        (9, "the certificate of the server is not valid yet: check the clocks of both hosts"),
        (10, "the certificate of the server has expired: renew it there (--tls-cert)"),
        (18, "the certificate of the server is signed by no CA in tls_ca 'ca.pem': name the file"),
        (62, "the certificate of the server does not name 'host': connect to a name that is in it"),
        (64, "the certificate of the server does not name 'host'"),
        (99, "the certificate of the server was refused: of another kind"),
    ],
)
def test_certificates_of_servers(code: int, beginning: str) -> None:
    """Each thing that can be wrong has an error of its own."""
    assert explain_server(refused(code, "of another kind"), "host", FILES).startswith(beginning)


def test_certificates_of_clients() -> None:
    """The server's log says what was wrong with the certificate of a client."""
    assert explain_client(refused(10), FILES) == "the certificate of the client has expired (tls_cert=)"
    assert explain_client(refused(20), FILES).endswith("signed by no CA in tls_ca 'ca.pem'")
    assert explain_client(refused(99, "odd"), FILES) == "the certificate of the client was refused: odd"


def test_refusals() -> None:
    """A client says why the server has refused it, as far as the server has told."""
    error = ConnectError("no answer within 3 seconds")
    assert explain_refusal(error, FILES) == str(error)
    error.__cause__ = failed("TLSV1_ALERT_INTERNAL_ERROR")
    assert explain_refusal(EOFError(), FILES).endswith("its log says why")
    other = OSError()
    other.__cause__ = failed("TLSV1_ALERT_INTERNAL_ERROR")
    assert explain_refusal(other, FILES) == "the server refused TLS: internal error"


def test_failures() -> None:
    """Other failures have the words of OpenSSL, in small letters."""
    alert, other = failed("SSLV3_ALERT_HANDSHAKE_FAILURE"), failed("WRONG_VERSION_NUMBER")
    assert explain_failure(alert, True) == "the client refused TLS: handshake failure"
    assert explain_failure(other, False) == "TLS with the server failed: wrong version number"
