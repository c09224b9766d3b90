from __future__ import annotations

from pathlib import Path

import pytest

from easycluster_client import _tls_options as tls_options
from easycluster_client._connect.spec import parse_connection_spec
from easycluster_client._tls_options import TlsOptions, check_tls
from easycluster_protocol._handshake.encryption import BY_CERTIFICATE, BY_KEY
from easycluster_protocol.errors import ConnectError, SpecError


def test_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    """What HELLO says: a CA or a certificate makes certificates the only way, and TLS required."""
    monkeypatch.setattr(tls_options, "find_ways", lambda: [BY_KEY, BY_CERTIFICATE])
    both = f"cancel,{BY_KEY},{BY_CERTIFICATE}"
    strict = {"tls": 2, "capabilities": f"cancel,{BY_CERTIFICATE}"}

    assert TlsOptions().make_fields() == {"tls": 1, "capabilities": both}
    assert TlsOptions("require").make_fields() == {"tls": 2, "capabilities": both}
    assert TlsOptions("off").make_fields() == {"tls": 0}
    assert TlsOptions(ca="ca.pem").make_fields() == TlsOptions(cert="cert.pem").make_fields() == strict


def test_python_without_ssl(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Python without `ssl` connects without TLS, and never when that is required."""
    monkeypatch.setattr(tls_options, "find_ways", list)

    assert TlsOptions().make_fields() == {"tls": 1}
    for options in (TlsOptions("require"), TlsOptions(ca="ca.pem")):
        with pytest.raises(ConnectError, match="this Python was built without TLS"):
            options.make_fields()


def test_contradictions() -> None:
    """Options that contradict each other are refused, by clients and in specs."""
    with pytest.raises(ValueError, match="^tls_key needs a certificate: add tls_cert$"):
        check_tls("auto", None, None, "key.pem")
    with pytest.raises(ValueError, match="^tls=off and tls_ca contradict each other"):
        check_tls("off", "ca.pem", None, None)
    with pytest.raises(
        SpecError, match=r"^tls=off and tls_cert contradict .* \(in connection spec 'host:tls=off"
    ):
        parse_connection_spec("host:tls=off:tls_cert=cert.pem")


def test_paths() -> None:
    """Files may be given as paths, with ~ for the home folder."""
    options = check_tls("auto", Path("ca.pem"), "~/cert.pem", None)

    assert options == TlsOptions("auto", "ca.pem", str(Path.home() / "cert.pem"), None)


def test_keys_of_specs() -> None:
    """The dictionary of a spec has the options of TLS only when they are given."""
    assert not any(name.startswith("tls") for name in parse_connection_spec("host:key=s3cret"))
    params = parse_connection_spec("host:tls=require:tls_ca=C:\\ca.pem:tls_cert=c.pem:tls_key=k.pem")

    given = {name: value for name, value in params.items() if name.startswith("tls")}
    assert given == {"tls": "require", "tls_ca": "C:\\ca.pem", "tls_cert": "c.pem", "tls_key": "k.pem"}
