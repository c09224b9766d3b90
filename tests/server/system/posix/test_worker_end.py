"""How the ends of workers are described."""

from __future__ import annotations

import signal
import socket

import pytest

from easycluster_server._io.transport import SocketTransport
from easycluster_server._system.posix.worker_end import describe_end, name_client


@pytest.mark.parametrize(
    ("status", "end", "text"),
    [
        (
            None,
            "replaced",
            r"remote code has closed the descriptors of NAME, or replaced its process (os.exec*)",
        ),
        (signal.SIGSEGV | 128, "signal 11 (SIGSEGV)", "NAME was ended by signal 11 (SIGSEGV)"),
        (40, "signal 40", "NAME was ended by signal 40"),
        (3 << 8, "status 3", "NAME has ended itself with status 3"),
        (0, "status 0", "NAME has ended itself with status 0, or lost its descriptors"),
    ],
)
def test_ends(status: int | None, end: str, text: str) -> None:
    """A worker was ended by a signal, ended itself, or is no worker any more."""
    assert describe_end("NAME", status) == (end, text)


def test_names_of_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a connection comes from is known over TCP, and of a login by ssh."""
    monkeypatch.delenv("SSH_CLIENT", raising=False)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        with socket.create_connection(listening.getsockname()) as client:
            with listening.accept()[0] as connection:
                name = name_client(SocketTransport(connection))
            assert name == f" for the connection from 127.0.0.1:{client.getsockname()[1]}"
    assert name_client(None) == ""
    monkeypatch.setenv("SSH_CLIENT", "192.0.2.1 50000 22")
    assert name_client(None) == " for the login from 192.0.2.1"
