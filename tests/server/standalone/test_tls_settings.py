from __future__ import annotations

import sys
from pathlib import Path

import pytest

from easycluster_protocol._handshake.encryption import BY_CERTIFICATE, BY_KEY
from easycluster_protocol.errors import KeyFileError
from easycluster_server._standalone import tls_settings
from easycluster_server._standalone.tls_settings import TlsSettings
from helpers.certificates import Authority


@pytest.fixture
def certificate(tmp_path: Path) -> str:
    """A certificate and its private key."""
    return str(Authority(tmp_path).sign("host.example"))


@pytest.fixture(params=[True, False], ids=["3.13", "older"])
def can_use_key(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether this Python can encrypt with the shared key."""
    ways = [BY_KEY, BY_CERTIFICATE] if request.param else [BY_CERTIFICATE]
    monkeypatch.setattr(tls_settings, "find_ways", lambda: ways)
    return bool(request.param)


def test_without_certificate(can_use_key: bool) -> None:
    """Without a certificate the shared key is the only way, where the Python has it."""
    fields = TlsSettings().fields

    assert fields == ({"tls": 1, "capabilities": f"cancel,{BY_KEY}"} if can_use_key else {"tls": 1})
    assert TlsSettings("off").fields == {"tls": 0}
    assert TlsSettings().is_offered == can_use_key
    assert not TlsSettings("off").is_offered


def test_required(can_use_key: bool, certificate: str) -> None:
    """A server that requires TLS and has no way does not start."""
    if can_use_key:
        assert TlsSettings("require").fields == {"tls": 2, "capabilities": f"cancel,{BY_KEY}"}
    else:
        with pytest.raises(
            ValueError, match=r"^--tls require: .* takes Python 3\.13 or newer, and this is 3\.\d"
        ):
            TlsSettings("require")
    assert TlsSettings("require", certificate).fields["tls"] == 2


def test_certificates(can_use_key: bool, certificate: str, tmp_path: Path) -> None:
    """A certificate is a way more; a CA makes it the only one."""
    ways = f"{BY_KEY},{BY_CERTIFICATE}" if can_use_key else BY_CERTIFICATE
    assert TlsSettings(cert=certificate).is_offered
    assert TlsSettings(cert=certificate).fields == {"tls": 1, "capabilities": f"cancel,{ways}"}
    settings = TlsSettings(cert=certificate, ca=str(tmp_path / "ca.pem"))

    assert settings.fields == {"tls": 2, "capabilities": f"cancel,{BY_CERTIFICATE}"}
    assert settings.files is not None
    assert settings.files.paths == (certificate, None, str(tmp_path / "ca.pem"))


def test_contradictions(certificate: str) -> None:
    """Settings that contradict each other are refused; so are words that are none, and bad files."""
    with pytest.raises(
        ValueError, match=r"^--tls-key needs a certificate of the server: add --tls-cert FILE$"
    ):
        TlsSettings(key=certificate)
    with pytest.raises(ValueError, match="^--tls-ca needs a certificate"):
        TlsSettings(ca=certificate)
    with pytest.raises(ValueError, match="^--tls off and --tls-cert contradict each other"):
        TlsSettings("off", certificate)
    with pytest.raises(ValueError, match="^--tls must be auto, require or off, not 'yes'$"):
        TlsSettings("yes")
    Path(certificate).write_text("nothing")
    with pytest.raises(KeyFileError, match=r"^--tls-cert '.*': there is no certificate in PEM format in it$"):
        TlsSettings(cert=certificate)


def test_python_without_ssl(certificate: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Python without `ssl` can have no certificate."""
    monkeypatch.setattr(tls_settings, "find_ways", list)
    with pytest.raises(ValueError, match="^--tls-cert: this Python was built without TLS"):
        TlsSettings(cert=certificate)


def test_nothing_is_imported_without_certificate(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server without a certificate does not import the modules of TLS."""
    monkeypatch.setitem(sys.modules, "easycluster_server._io.tls_contexts", None)

    assert TlsSettings().files is None
