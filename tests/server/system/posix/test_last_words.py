"""The last words of a guardian, as they leave it."""

from __future__ import annotations

import socket

from easycluster_protocol._wire.last_words import pack_last_words
from easycluster_server._system.posix.last_words import say_last_words


def test_words_are_written() -> None:
    """The client gets them."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        say_last_words(theirs.fileno(), "status 3")

        assert ours.recv(100) == pack_last_words("status 3")


def test_a_client_that_has_left_is_no_error() -> None:
    """Nobody waits for a client that does not read, or is gone."""
    ours, theirs = socket.socketpair()
    with theirs:
        ours.close()
        say_last_words(theirs.fileno(), "status 3")
    say_last_words(theirs.fileno(), "status 3")
