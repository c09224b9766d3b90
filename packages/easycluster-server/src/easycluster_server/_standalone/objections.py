"""Why a standalone server does not run the code of clients of another version."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from easycluster_server._system.confinement import Confinement

    from .tls_settings import TlsSettings


class Objections(NamedTuple):
    """The reasons; "" is none.

    Attributes:
        code: of no such client.
        certificate: of none whose connection is encrypted by the server's certificate.
    """

    code: str
    certificate: str


def find_objections(
    of_system: str, no_upgrade: bool, confinement: Confinement, tls: TlsSettings
) -> Objections:
    """Return the reasons.

    Args:
        of_system: why it is impossible on this system, or "".
        no_upgrade: whether it is not wanted.
        confinement: the rights of connections.
        tls: the server's way to encrypt.
    """
    code = "it was started with --no-upgrade" if no_upgrade else of_system
    # That code reads the files of the certificate itself.
    unreadable = confinement.find_unreadable(tls.files.paths) if tls.files else None
    certificate = f"its connections run as a user who cannot read {unreadable!r}" if unreadable else ""
    return Objections(code, code or certificate)
