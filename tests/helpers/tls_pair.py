"""Two transports within TLS, connected by a socket pair, with the certificate of a CA of the tests."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from easycluster_protocol._handshake.encryption import BY_CERTIFICATE
from easycluster_protocol._handshake.hello import Agreement, Hello
from easycluster_protocol._wire.link import SERVER, Link
from easycluster_server._io.tls_contexts import TlsFiles
from easycluster_server._io.tls_handshake import secure_client, secure_worker
from easycluster_server._io.tls_server_files import ServerFiles
from easycluster_server._io.transport import SocketTransport

SECRET = b"s" * 32
HOST = "host.example"


class TlsPair(NamedTuple):
    """Two transports that are connected, that of a client and that of a server."""

    here: Any
    there: Any


class Ends:
    """The two ends of a handshake of TLS, not begun.

    Args:
        server_files: the files of the server.
        secrets: those of the client and of the server.

    Attributes:
        client: the client's socket.
        link: the server's link.
        error: why the server's end failed.
        there: its transport.
    """

    #: The sockets of all tests, until `close_all`.
    sockets: ClassVar[list[socket.socket]] = []

    def __init__(self, server_files: TlsFiles, secrets: tuple[bytes, bytes] = (SECRET, SECRET)) -> None:
        self.client, self._server = socket.socketpair()
        self.sockets.extend((self.client, self._server))
        self._secret = secrets[0]
        agreement = Agreement(Hello(), 5, False)
        agreement.tls = (BY_CERTIFICATE, secrets[1])
        self.link = Link(SERVER, agreement)
        self.error: Exception | None = None
        self.there: Any = None
        self._files = server_files
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        cert, key, ca, _ = self._files
        assert cert is not None
        files = ServerFiles(cert, key, ca)
        try:
            self.there = secure_worker(self.link, SocketTransport(self._server), files, "a client")
        except Exception as error:
            self.error = error
            self._server.close()

    def connect(self, files: TlsFiles, host: str = HOST, way: str = BY_CERTIFICATE) -> Any:
        """Run the client's end; return its transport."""
        try:
            here, early = secure_client(
                SocketTransport(self.client), (way, self._secret), files, host, lambda _: None
            )
            assert early == b""
        except BaseException:
            self.client.close()
            raise
        finally:
            self.join()
        return here

    @classmethod
    def close_all(cls) -> None:
        """Close the sockets of all ends."""
        while cls.sockets:
            cls.sockets.pop().close()

    def join(self) -> None:
        """Wait for the server's end."""
        self._thread.join()


def make_tls_pair(cert: Path) -> TlsPair:
    """Return two connected transports within TLS."""
    ends = Ends(TlsFiles(str(cert)))
    here = ends.connect(TlsFiles())
    assert ends.error is None
    return TlsPair(here, ends.there)


class LosingSteps:
    """Stands where the steps of a TLS connection are: each does its work, and raises in place of its result.

    As `ssl` does when a signal handler raises: it runs handlers after the work.
    """

    def __init__(self, transport: Any, error: BaseException) -> None:
        self.error = error
        state = vars(transport)
        self._decrypt, self._encrypt = state["_decrypt_step"], state["_encrypt_step"]
        state.update(_decrypt_step=self.decrypt, _encrypt_step=self.encrypt)
        self.left = 1

    def _lose(self, result: int) -> int:
        self.left -= 1
        if self.left == 0:
            raise self.error
        return result

    def decrypt(self, size: int, place: memoryview) -> int:
        """Decrypt."""
        return self._lose(self._decrypt(size, place))

    def encrypt(self, data: bytes) -> int:
        """Encrypt."""
        return self._lose(self._encrypt(data))


def end_tls(transport: Any) -> bytes:
    """Return the record by which an end says that it sends nothing more, as others do; our own ends never say it."""
    state = vars(transport)
    with contextlib.suppress(ssl.SSLWantReadError):
        state["_tls"].unwrap()
    data: bytes = state["_outgoing"].read()
    return data


def records(data: bytes) -> list[bytes]:
    """Return the records of TLS in ``data``."""
    found = []
    while data:
        end = 5 + int.from_bytes(data[3:5], "big")
        found.append(data[:end])
        data = data[end:]
    return found


__all__ = ["HOST", "SECRET", "Ends", "LosingSteps", "TlsPair", "end_tls", "make_tls_pair", "records"]
