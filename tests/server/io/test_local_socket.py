"""The two sockets of a connection to a local server."""

from __future__ import annotations

import pytest

from easycluster_server._io.local_socket import LocalSocket
from easycluster_server._system.masters import make_socket_pair


def test_words_beside_the_connection() -> None:
    """The words do not go through the connection, and can be read again and again."""
    ours, theirs = LocalSocket.make_pair()
    with ours, theirs:
        ours.words, their_words = make_socket_pair()
        with their_words:
            assert ours.read_words() == b""
            their_words.sendall(b"words")
        theirs.sendall(b"data")

        assert [ours.read_words(), ours.read_words()] == [b"words", b"words"]
        assert ours.recv(10) == b"data"


def test_without_words() -> None:
    """A socket that has no second one has nothing to say."""
    ours, theirs = LocalSocket.make_pair()
    with ours, theirs:
        assert ours.read_words() == b""


def test_close() -> None:
    """Closing it closes the second one, too; nothing is read then."""
    ours, theirs = LocalSocket.make_pair()
    ours.words, their_words = make_socket_pair()
    with theirs, their_words:
        ours.close()

        assert ours.words.fileno() == -1
        assert ours.read_words() == b""
        with pytest.raises(BrokenPipeError):
            their_words.send(b"x")
