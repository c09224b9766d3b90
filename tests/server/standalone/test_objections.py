"""Which clients of another version a server refuses; the integration tests have real servers of another version."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from easycluster_server._standalone.objections import find_objections
from easycluster_server._standalone.tls_settings import TlsSettings
from easycluster_server._system.confinement import Confinement
from helpers.certificates import Authority


class _Confinement:
    """That of a user who can read nothing."""

    def find_unreadable(self, paths: tuple[str | None, ...]) -> str | None:
        return paths[0]


def test_reasons(tmp_path: Path) -> None:
    """A reason holds for all such clients, or for those alone whose code would need the private key."""
    blind = cast("Confinement", _Confinement())
    with_certificate = TlsSettings(cert=str(Authority(tmp_path).sign("host")))

    assert find_objections("", False, Confinement(), with_certificate) == ("", "")
    assert find_objections("", False, blind, TlsSettings()) == ("", "")
    for reasons in (("no way", False), ("", True)):
        code, certificate = find_objections(*reasons, blind, with_certificate)
        assert code == certificate != ""
    code, certificate = find_objections("", False, blind, with_certificate)
    assert code == ""
    assert "run as a user who cannot read" in certificate
