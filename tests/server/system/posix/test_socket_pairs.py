"""Pairs of sockets of which another process gets one end."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from easycluster_server._system.posix.socket_pairs import make_socket_pair


@pytest.fixture(params=[None, 60.0], ids=["no timeout", "a timeout"])
def default_timeout(request: pytest.FixtureRequest) -> Iterator[None]:
    """The script has set a timeout for new sockets, or none."""
    socket.setdefaulttimeout(request.param)
    yield
    socket.setdefaulttimeout(None)


def test_other_end_blocks(default_timeout: None) -> None:
    """The end for another process is in blocking mode, whatever mode new sockets have here."""
    ours, theirs = make_socket_pair()
    with ours, theirs:
        ours.send(b"x")

        assert os.get_blocking(theirs.fileno())
        assert os.read(theirs.fileno(), 2) == b"x"


def test_failure_leaves_nothing_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the mode cannot be set, both ends are closed."""
    pair = socket.socketpair()

    def fail(*arguments: object) -> None:
        raise OSError("no")

    monkeypatch.setattr(socket, "socketpair", lambda: pair)
    monkeypatch.setattr(os, "set_blocking", fail)
    with pytest.raises(OSError, match="no"):
        make_socket_pair()

    assert [end.fileno() for end in pair] == [-1, -1]
