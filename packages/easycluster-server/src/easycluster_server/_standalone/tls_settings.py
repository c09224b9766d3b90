"""How a standalone server encrypts: what its user wants, and what its Python can."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Dict, List, Optional

from easycluster_protocol._handshake.encryption import (
    AUTO,
    BY_CERTIFICATE,
    OFF,
    REQUIRE,
    check_mode,
    make_fields,
)
from easycluster_server._io.tls_ability import find_ways

if TYPE_CHECKING:
    from easycluster_protocol._handshake.hello import FieldValue
    from easycluster_server._io.tls_server_files import ServerFiles


class TlsSettings:
    """How a standalone server encrypts.

    Args:
        mode: ``auto``: connections of clients that can, too; ``require``: all; ``off``: none.
        cert: the file of the server's certificate, or None.
        key: the file of its private key; None: the same.
        ca: the file or folder of the CAs of which every client has to show a certificate; None: none has to.

    Attributes:
        is_offered: whether connections may be encrypted.
        fields: what the server says of it in its handshakes.
        files: the files, for workers; None: there is no certificate.

    Raises:
        ValueError: these settings contradict each other, or this Python cannot do it.
        KeyFileError: a file cannot be used.
        OSError: a file cannot be read.
    """

    def __init__(
        self,
        mode: str = "auto",
        cert: Optional[str] = None,
        key: Optional[str] = None,
        ca: Optional[str] = None,
    ) -> None:
        tls = check_mode(mode, "--tls")
        for option, value in (("--tls-key", key), ("--tls-ca", ca)):
            if value and not cert:
                raise ValueError(f"{option} needs a certificate of the server: add --tls-cert FILE")
        if cert and tls == OFF:
            raise ValueError("--tls off and --tls-cert contradict each other: leave one out")
        self.files: Optional[ServerFiles] = None
        if cert:
            # Hosts that are reached by ssh do not have it, and import this module.
            from easycluster_server._io.tls_server_files import ServerFiles

            self.files = ServerFiles(cert, key, ca)
        ways = [way for way in find_ways() if cert or way != BY_CERTIFICATE] if tls else []
        if self.files:
            _check(ways, self.files)
        if ca:  # a client without a certificate is to be refused
            ways, tls = [BY_CERTIFICATE], REQUIRE
        if tls == REQUIRE and not ways:
            raise ValueError(
                "--tls require: TLS with the shared key takes Python 3.13 or newer, and this is"
                f" {'.'.join(map(str, sys.version_info[:2]))}; run the server with a newer one, or give it a"
                " certificate (--tls-cert FILE)"
            )
        self.is_offered = bool(ways)
        self.fields: Dict[str, FieldValue] = make_fields(tls if ways else min(tls, AUTO), ways)


def _check(ways: List[str], files: ServerFiles) -> None:
    if BY_CERTIFICATE not in ways:
        raise ValueError("--tls-cert: this Python was built without TLS (it has no module ssl)")
    files.load()
    files.take()  # this process does not need them
