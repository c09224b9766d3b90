from __future__ import annotations

import ssl
import subprocess
from pathlib import Path

import pytest

from easycluster_protocol.errors import KeyFileError
from easycluster_server._io.tls_contexts import (
    TlsFiles,
    make_client_context,
    make_server_context,
    read_certificate,
)
from helpers.certificates import Authority
from helpers.tls_pair import HOST


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """The CA."""
    return Authority(tmp_path / "ca")


def split(both: Path, folder: Path) -> tuple[Path, Path]:
    """Write the private key and the certificates to files of their own."""
    text = both.read_text()
    at = text.index("-----BEGIN CERTIFICATE")
    key, cert = folder / "key.pem", folder / "cert.pem"
    key.write_text(text[:at])
    cert.write_text(text[at:])
    return cert, key


def test_contexts(authority: Authority, tmp_path: Path) -> None:
    """Nothing older than TLS 1.3; certificates are demanded where there is a CA, and names checked by clients."""
    cert, key = split(authority.sign(HOST), tmp_path)
    server = make_server_context(TlsFiles(str(cert), str(key)))
    strict = make_server_context(TlsFiles(str(cert), str(key), str(authority.file)))
    client = make_client_context(TlsFiles())
    careful = make_client_context(TlsFiles(ca=str(authority.file)))

    contexts = [server, strict, client, careful]
    assert {each.minimum_version for each in contexts} == {ssl.TLSVersion.TLSv1_3}
    none, required = ssl.CERT_NONE, ssl.CERT_REQUIRED
    assert [each.verify_mode for each in contexts] == [none, required, none, required]
    assert (client.check_hostname, careful.check_hostname) == (False, True)
    assert server.num_tickets == 0


def test_folder_of_cas(authority: Authority) -> None:
    """The CAs may be in a folder."""
    make_client_context(TlsFiles(ca=str(authority.file.parent)))


def test_certificate(authority: Authority) -> None:
    """The first certificate of a file is that of the host, whatever stands around it."""
    path = authority.sign(HOST)
    first = ssl.PEM_cert_to_DER_cert(
        path.read_text()[path.read_text().index("-----BEGIN CERT") :].split("-\n-")[0]
    )

    assert read_certificate(str(path)) == first


def test_missing_files(authority: Authority, tmp_path: Path) -> None:
    """The error for a file that cannot be read names it and its option."""
    missing = str(tmp_path / "missing.pem")
    with pytest.raises(FileNotFoundError, match=r"\(--tls-cert\): '.*missing\.pem'"):
        make_server_context(TlsFiles(missing))
    with pytest.raises(FileNotFoundError, match=r"\(--tls-key\): '.*missing\.pem'"):
        make_server_context(TlsFiles(str(authority.sign(HOST)), missing))
    with pytest.raises(FileNotFoundError, match=r"\(tls_ca\): '.*missing\.pem'"):
        make_client_context(TlsFiles(ca=missing, names=("tls_cert", "tls_key", "tls_ca")))


def test_bad_files(authority: Authority, tmp_path: Path) -> None:
    """The error for a file with something else in it names it and its option, and says what to do."""
    cert, key = split(authority.sign(HOST), tmp_path)
    (tmp_path / "other").mkdir()
    _, other_key = split(authority.sign("other.example"), tmp_path / "other")
    nothing = tmp_path / "nothing.pem"
    nothing.write_text("nothing")
    wrong = {
        (str(nothing), None, None): r"^--tls-cert '.*nothing\.pem': there is no certificate in PEM format",
        (
            str(cert),
            None,
            None,
        ): r"^--tls-cert '.*cert\.pem': there is no private key .*: name|; name its file",
        (
            str(cert),
            str(nothing),
            None,
        ): r"^--tls-key '.*nothing\.pem': there is no private key in PEM format",
        (str(cert), str(other_key), None): r"^--tls-key '.*key\.pem': the private key does not belong to the",
        (str(cert), str(key), str(nothing)): r"^--tls-ca '.*nothing\.pem': there is no certificate in PEM",
    }
    for files, message in wrong.items():
        with pytest.raises(KeyFileError, match=message):
            make_server_context(TlsFiles(*files))


def test_private_key_with_a_passphrase(authority: Authority, tmp_path: Path) -> None:
    """Nobody is asked for a passphrase: the error says how to write a key without."""
    cert, key = split(authority.sign(HOST), tmp_path)
    locked = tmp_path / "locked.pem"
    command = ["openssl", "pkey", "-aes256", "-passout", "pass:1234", "-in", str(key), "-out", str(locked)]
    subprocess.run(command, check=True, capture_output=True)
    with pytest.raises(KeyFileError, match=r"^--tls-key '.*locked\.pem': the private key has a passphrase"):
        make_server_context(TlsFiles(str(cert), str(locked)))
