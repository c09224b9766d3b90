"""What a server behind ssh makes of its standard descriptors, in a process of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from typing import Any

import pytest

from easycluster_protocol._handshake.client import ClientHandshake
from easycluster_protocol._wire.link import CLIENT
from easycluster_server._io.handshake import shake_hands
from easycluster_server._io.transport import SocketTransport
from helpers.waiting import PATIENCE

pytestmark = pytest.mark.integration


def run(code: str, stdin: Any, stdout: Any) -> subprocess.Popen[str]:
    """Run code whose standard input and output are these."""
    return subprocess.Popen(
        [sys.executable, "-c", code], stdin=stdin, stdout=stdout, stderr=subprocess.PIPE, text=True
    )


def test_serving(capfd: pytest.CaptureFixture[str]) -> None:
    """The entry serves one connection, and ends with it."""
    ours, theirs = socket.socketpair()
    with theirs:
        process = run("from easycluster_server._stdio import main; main()", theirs, theirs)
    ours.settimeout(PATIENCE)
    handshake = ClientHandshake(None)
    shake_hands(handshake, SocketTransport(ours), CLIENT)
    ours.close()
    _, errors = process.communicate(timeout=PATIENCE)

    assert handshake.peer is not None
    assert handshake.peer.host == os.uname().nodename
    assert (process.returncode, errors) == (0, "")


@pytest.mark.parametrize("said", [b"", b"ls -l\n"])
def test_no_client(said: bytes) -> None:
    """Who leaves without a handshake, or says something else, is named in one line."""
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            process = run("from easycluster_server._stdio import main; main()", theirs, theirs)
        ours.sendall(said)
        ours.shutdown(socket.SHUT_WR)
        _, errors = process.communicate(timeout=PATIENCE)

    assert errors.count("\n") == 1
    assert errors.startswith("easycluster: the peer ")
