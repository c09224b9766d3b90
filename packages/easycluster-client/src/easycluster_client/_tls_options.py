"""What a client wants of TLS: the options ``tls``, ``tls_ca``, ``tls_cert`` and ``tls_key``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from easycluster_protocol._handshake.encryption import BY_CERTIFICATE, OFF, REQUIRE, check_mode, make_fields
from easycluster_protocol.errors import ConnectError
from easycluster_server._io.tls_ability import find_ways

if TYPE_CHECKING:
    from easycluster_protocol._handshake.hello import FieldValue

    #: The path of a file.
    PathLike = str | os.PathLike[str]

#: What users call the three files.
NAMES = ("tls_cert", "tls_key", "tls_ca")


class TlsOptions(NamedTuple):
    """What a client wants of TLS, checked by `check_tls`; for the fields see the arguments of `Client`."""

    mode: str = "auto"
    ca: str | None = None
    cert: str | None = None
    key: str | None = None

    def make_fields(self) -> dict[str, FieldValue]:
        """Return the fields of HELLO that say it.

        Raises:
            ConnectError: TLS is required, and this Python has none.
        """
        ways = find_ways() if self.mode != "off" else []
        if not ways and (self.mode == "require" or self.ca or self.cert):
            raise ConnectError("TLS is asked for, and this Python was built without TLS (no module ssl)")
        if self.ca or self.cert:  # the server is to have a certificate, or to see this one
            return make_fields(REQUIRE, [BY_CERTIFICATE])
        return make_fields(check_mode(self.mode, "tls"), ways)


def check_tls(mode: str, ca: PathLike | None, cert: PathLike | None, key: PathLike | None) -> TlsOptions:
    """Return the options, checked.

    Raises:
        ValueError: they contradict each other, or ``mode`` is none.
    """
    tls = check_mode(mode, "tls")
    if key and not cert:
        raise ValueError("tls_key needs a certificate: add tls_cert")
    if tls == OFF and (ca or cert):
        raise ValueError(f"tls=off and {'tls_ca' if ca else 'tls_cert'} contradict each other: leave one out")
    return TlsOptions(mode, *(_expand(path) for path in (ca, cert, key)))


def _expand(path: PathLike | None) -> str | None:
    return os.path.expanduser(os.fspath(path)) if path else None
