"""The files of a server with a certificate, as the processes of its connections use them.

A connection may run as a user who must not read the private key. So the files are read before its process
becomes that user, and the key leaves its memory when the handshake of TLS is over, before code of the client
runs: see `_shake_hands` of `tls_handshake`. Copies that OpenSSL made while it read the key may stay in memory
that it has given back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Optional, Tuple

if TYPE_CHECKING:
    from ssl import SSLContext

    #: Certificate, private key, CA, as in `tls_contexts.TlsFiles`.
    Paths = Tuple[Optional[str], Optional[str], Optional[str]]


class Loaded(NamedTuple):
    """What is in the files.

    Attributes:
        context: the settings of TLS, with certificate and private key.
        keyless: the same without these two.
        certificate: the certificate, in DER.
    """

    context: SSLContext
    keyless: SSLContext
    certificate: bytes


class ServerFiles:
    """The files. They travel to workers by pickle, before they are read.

    Args:
        cert: the certificate and those between this and the CA's, in PEM.
        key: the private key; None: it is in the same file.
        ca: the file or folder of the CAs that may have signed certificates of clients; None: they need none.

    Attributes:
        paths: these three.
    """

    def __init__(self, cert: str, key: Optional[str] = None, ca: Optional[str] = None) -> None:
        self.paths: Paths = (cert, key, ca)
        self._cert = cert
        self._loaded: Optional[Loaded] = None

    def load(self) -> None:
        """Read the files, with the rights that this process has now.

        Raises:
            KeyFileError: a file cannot be used; the message names it and its option.
            OSError: a file cannot be read.
        """
        from .tls_contexts import TlsFiles, make_server_context, read_certificate  # they import `ssl`

        files = TlsFiles(*self.paths)
        context = make_server_context(files)
        keyless = make_server_context(TlsFiles(ca=files.ca))
        self._loaded = Loaded(context, keyless, read_certificate(self._cert))

    def take(self) -> Loaded:
        """Return what is in the files, and forget it; they are read now if they were not before.

        Raises:
            KeyFileError: see `load`.
            OSError: see `load`.
        """
        if self._loaded is None:
            self.load()
        loaded, self._loaded = self._loaded, None
        assert loaded is not None
        return loaded
