"""The settings of TLS for both ends, and the files of certificates that go into them."""

from __future__ import annotations

import os
import ssl
from typing import Any, NamedTuple, NoReturn, Optional, Tuple

from easycluster_protocol.errors import KeyFileError

_IDENTITY = "easycluster"


class TlsFiles(NamedTuple):
    """The files of one end, and what its user calls them.

    Attributes:
        cert: its certificate and those between this and the CA's, in PEM; None: it has none.
        key: the private key; None: it is in the same file.
        ca: the file or folder of the CAs that may have signed the peer's certificate; None: it is not asked
            for one, or the shared key vouches for it.
        names: the options, for messages.
    """

    cert: Optional[str] = None
    key: Optional[str] = None
    ca: Optional[str] = None
    names: Tuple[str, str, str] = ("--tls-cert", "--tls-key", "--tls-ca")


def make_server_context(files: TlsFiles) -> ssl.SSLContext:
    """Return the settings of TLS for a server with a certificate.

    Raises:
        KeyFileError: a file cannot be used; the message names it and its option.
        OSError: a file cannot be read.
    """
    context = _new_context(ssl.PROTOCOL_TLS_SERVER)
    if hasattr(context, "num_tickets"):  # novm
        context.num_tickets = 0  # nobody resumes a connection
    _load(context, files)
    if files.ca:
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def make_client_context(files: TlsFiles) -> ssl.SSLContext:
    context = _new_context(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = bool(files.ca)
    # Without a CA the proof of the shared key vouches for the certificate, see `bind`.
    context.verify_mode = ssl.CERT_REQUIRED if files.ca else ssl.CERT_NONE
    _load(context, files)
    return context


def make_key_context(protocol: int, key: bytes) -> ssl.SSLContext:
    """Return the settings of TLS with a shared key."""
    context = _new_context(protocol)
    # No CA is known: a peer that shows a certificate in place of the key is refused.
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    of_python_3_13: Any = context
    if protocol == ssl.PROTOCOL_TLS_SERVER:
        of_python_3_13.num_tickets = 0

        def find_key(identity: Optional[str]) -> bytes:
            return key if identity == _IDENTITY else b""

        of_python_3_13.set_psk_server_callback(find_key)
    else:

        def name_key(_hint: Optional[str]) -> Tuple[str, bytes]:
            return _IDENTITY, key

        of_python_3_13.set_psk_client_callback(name_key)
    return context


def _new_context(protocol: int) -> ssl.SSLContext:
    if not getattr(ssl, "HAS_TLSv1_3", False):
        raise KeyFileError(
            "the Python here has no TLS 1.3: it needs 3.7 or newer, with OpenSSL 1.1.1 or newer"
        )
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_3  # novm
    return context


def _load(context: ssl.SSLContext, files: TlsFiles) -> None:
    cert_name, key_name, ca_name = files.names
    if files.cert:
        _check_readable(files.cert, cert_name)
        if files.key:
            _check_readable(files.key, key_name)
        where = f"{key_name} {files.key!r}" if files.key else f"{cert_name} {files.cert!r}"

        def refuse_password() -> NoReturn:
            raise KeyFileError(
                f"{where}: the private key has a passphrase, which nobody could type here; openssl pkey"
                " -in FILE -out NEW writes it without"
            )

        try:
            context.load_cert_chain(files.cert, files.key, refuse_password)
        except ssl.SSLError as error:
            if error.reason == "KEY_VALUES_MISMATCH":
                problem = f"{where}: the private key does not belong to the certificate in {files.cert!r}"
            elif not _has_certificate(files.cert):
                problem = f"{cert_name} {files.cert!r}: there is no certificate in PEM format in it"
            else:
                problem = (
                    f"{where}: there is no private key in PEM format in it; name its file with {key_name}"
                )
            raise KeyFileError(problem) from error
    if files.ca:
        is_folder = os.path.isdir(files.ca)
        if not is_folder:
            _check_readable(files.ca, ca_name)
        try:
            context.load_verify_locations(**{"capath" if is_folder else "cafile": files.ca})
        except ssl.SSLError as error:
            problem = f"{ca_name} {files.ca!r}: there is no certificate in PEM format in it"
            raise KeyFileError(problem) from error


def _check_readable(path: str, option: str) -> None:
    try:
        with open(path, "rb"):
            pass
    except OSError as error:
        error.strerror = f"{error.strerror} ({option})"
        raise


def _has_certificate(path: str) -> bool:
    try:
        read_certificate(path)
    except (OSError, ValueError):
        return False
    return True


def read_certificate(path: str) -> bytes:
    """Return the first certificate of a file, in DER."""
    with open(path, "rb") as file:
        text = file.read().decode("latin-1")  # `open` would import a module for that
    begin, end = ssl.PEM_HEADER, ssl.PEM_FOOTER
    start = text.index(begin)
    return ssl.PEM_cert_to_DER_cert(text[start : text.index(end, start) + len(end)])
