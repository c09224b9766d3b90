from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from easycluster_protocol._handshake.encryption import bind
from easycluster_protocol.errors import ConnectError
from easycluster_server._io import tls_handshake
from easycluster_server._io.tls_contexts import TlsFiles, make_client_context
from easycluster_server._io.tls_handshake import secure_client
from easycluster_server._io.transport import SocketTransport
from helpers.certificates import YESTERDAY, Authority
from helpers.tls_pair import HOST, SECRET, Ends

OPTIONS = ("tls_cert", "tls_key", "tls_ca")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The CA."""
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Another CA."""
    return Authority(tmp_path_factory.mktemp("stranger"))


@pytest.fixture(autouse=True)
def sockets() -> Iterator[None]:
    """The sockets of the test are closed after it."""
    yield
    Ends.close_all()


def client_files(cert: Path | None = None, ca: Path | None = None) -> TlsFiles:
    """The files of a client."""
    return TlsFiles(str(cert) if cert else None, None, str(ca) if ca else None, OPTIONS)


def test_certificate_that_the_key_vouches_for(authority: Authority) -> None:
    """Without a CA, the proof of the shared key within TLS stands for the server's certificate."""
    ends = Ends(TlsFiles(str(authority.sign(HOST))))
    here = ends.connect(client_files(), "another.example")

    assert here.description == "TLS 1.3 with the server's certificate, for which the shared key vouches"
    assert here.cipher.startswith("TLS_")


def test_certificate_of_a_ca(authority: Authority) -> None:
    """With a CA, the certificate has to be signed by it, and to have the name of the host."""
    ends = Ends(TlsFiles(str(authority.sign(HOST))))
    here = ends.connect(client_files(ca=authority.file), HOST + ".")

    assert here.description == "TLS 1.3 with the server's certificate, checked by its CA"


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_certificate_of_an_address(authority: Authority, address: str) -> None:
    """A certificate may name an address, and a client connect to it."""
    Ends(TlsFiles(str(authority.sign(address)))).connect(client_files(ca=authority.file), address)


def test_wrong_name(authority: Authority) -> None:
    """The error for a certificate of another host has the name that it lacks."""
    ends = Ends(TlsFiles(str(authority.sign(HOST))))
    with pytest.raises(
        ConnectError, match=r"does not name 'other\.example': connect to a name that is in it"
    ):
        ends.connect(client_files(ca=authority.file), "other.example")

    assert "the client refused TLS: bad certificate" in str(ends.error)


def test_unknown_ca(authority: Authority, stranger: Authority) -> None:
    """The error for a certificate that another CA signed names option and file."""
    ends = Ends(TlsFiles(str(stranger.sign(HOST))))
    with pytest.raises(ConnectError, match=r"signed by no CA in tls_ca '.*ca\.pem': name the file"):
        ends.connect(client_files(ca=authority.file))

    assert "connection from a client refused: the client refused TLS: unknown ca" in str(ends.error)


def test_expired(authority: Authority) -> None:
    """The error for an expired certificate says so."""
    ends = Ends(TlsFiles(str(authority.sign(HOST, YESTERDAY))))
    with pytest.raises(ConnectError, match="the certificate of the server has expired: renew it there"):
        ends.connect(client_files(ca=authority.file))


def test_both_certificates(authority: Authority) -> None:
    """A server with a CA takes clients with its certificates."""
    ends = Ends(TlsFiles(str(authority.sign(HOST)), None, str(authority.file)))
    ends.connect(client_files(authority.sign("client.example"), authority.file))

    assert ends.error is None


def test_client_without_certificate(authority: Authority) -> None:
    """A server with a CA refuses clients without a certificate, and both ends say so."""
    ends = Ends(TlsFiles(str(authority.sign(HOST)), None, str(authority.file)))
    with pytest.raises(
        ConnectError, match=r"demands a certificate of the client \(--tls-ca\): name one with"
    ):
        ends.connect(client_files())

    assert "the client has shown no certificate (tls_cert=), which --tls-ca demands" in str(ends.error)


def test_client_of_another_ca(authority: Authority, stranger: Authority) -> None:
    """A server with a CA refuses clients with the certificate of another."""
    ends = Ends(TlsFiles(str(authority.sign(HOST)), None, str(authority.file)))
    with pytest.raises(
        ConnectError, match=r"refused the certificate in tls_cert '.*': it is signed by no CA"
    ):
        ends.connect(client_files(stranger.sign("client.example")))

    assert "the certificate of the client is signed by no CA in --tls-ca" in str(ends.error)


def test_expired_client(authority: Authority) -> None:
    """A server with a CA refuses expired certificates of clients."""
    ends = Ends(TlsFiles(str(authority.sign(HOST)), None, str(authority.file)))
    with pytest.raises(ConnectError, match=r"refused the certificate in tls_cert '.*': it has expired"):
        ends.connect(client_files(authority.sign("client.example", YESTERDAY)))

    assert "the certificate of the client has expired" in str(ends.error)


def test_client_without_the_key(authority: Authority) -> None:
    """Whoever begins TLS and does not hold the secret of the connection is refused: it came in between."""
    ends = Ends(TlsFiles(str(authority.sign(HOST))), (b"x" * 32, SECRET))
    with pytest.raises(ConnectError):
        ends.connect(client_files())

    assert "does not belong to the holder of the shared key" in str(ends.error)


def test_between_the_ends(authority: Authority, stranger: Authority) -> None:
    """Somebody between the ends, with a certificate of his own, is refused by both."""
    ends = Ends(TlsFiles(str(authority.sign(HOST))))
    outside, inside = socket.socketpair()
    certificate = str(stranger.sign(HOST))

    def relay() -> None:
        """End the TLS of the client, begin another one with the server, and pass on what comes."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        with context.wrap_socket(inside, server_side=True) as to_client:
            to_server = make_client_context(TlsFiles()).wrap_socket(ends.client)
            to_server.sendall(to_client.recv(4096))
            to_server.recv(4096)  # the server closes the connection
            to_server.close()

    thread = threading.Thread(target=relay, daemon=True)
    thread.start()
    with pytest.raises(ConnectError):
        secure_client(SocketTransport(outside), ("tls-cert", SECRET), client_files(), HOST, lambda _: None)
    outside.close()
    thread.join()
    ends.join()

    assert "does not belong to the holder of the shared key" in str(ends.error)


def test_server_without_the_key(authority: Authority) -> None:
    """A server that shows a certificate and cannot prove the key inside TLS is refused."""
    ends = Ends(TlsFiles(str(authority.sign(HOST))))
    sent: list[Any] = []
    outside, inside = socket.socketpair()

    def serve() -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(str(authority.sign(HOST)))
        with context.wrap_socket(inside, server_side=True) as tls:
            sent.append(tls.recv(4096))
            tls.sendall(sent[0])  # the client's own

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    with pytest.raises(ConnectError, match="the TLS of the server does not belong to the holder"):
        secure_client(
            SocketTransport(outside),
            ("tls-cert", SECRET),
            client_files(ca=authority.file),
            HOST,
            lambda _: None,
        )
    outside.close()
    ends.client.close()
    thread.join()
    ends.join()


def test_client_that_leaves(authority: Authority) -> None:
    """A client that leaves ends the handshake of TLS; the server's line says from where it was."""
    ends = Ends(TlsFiles(str(authority.sign(HOST))))
    ends.client.close()
    ends.join()

    assert str(ends.error).startswith("connection from a client refused: the peer closed the connection")


def test_client_that_says_nothing(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client has only so much time for the handshake of TLS."""
    monkeypatch.setattr(tls_handshake, "HANDSHAKE_SECONDS", 0.01)
    ends = Ends(TlsFiles(str(authority.sign(HOST))))
    ends.join()
    ends.client.close()

    assert "no handshake of TLS within 0 s" in str(ends.error)


def test_no_tls(authority: Authority) -> None:
    """A peer that does not speak TLS ends the handshake."""
    ends = Ends(TlsFiles(str(authority.sign(HOST))))
    ends.client.sendall(b"something else than TLS" * 5000)
    ends.client.shutdown(socket.SHUT_WR)
    ends.join()
    ends.client.close()

    assert "TLS with the client failed: " in str(ends.error)


def test_early_bytes(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a client sends right behind its proof reaches the link of the server."""
    ends = Ends(TlsFiles(str(authority.sign(HOST))))
    early: list[bytes] = []
    monkeypatch.setattr(ends.link, "receive_data", early.append)
    tls = make_client_context(TlsFiles()).wrap_socket(ends.client)
    tls.sendall(bind(SECRET, "client", tls.getpeercert(True) or b"") + b"early")
    tls.recv(4096)
    tls.close()
    ends.join()

    assert early == [b"early"]
