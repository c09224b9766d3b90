"""The sessions of a listener, and the peers that ask about them."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from easycluster_server._standalone.sessions import Sessions, add_capability


@pytest.fixture
def guardian() -> Iterator[tuple[socket.socket, socket.socket]]:
    """The socket on which a guardian is asked, and its own."""
    questions, theirs = socket.socketpair()
    with questions, theirs:
        yield questions, theirs


def peers(count: int) -> list[Any]:
    """Return peers that ask."""
    return [object() for _ in range(count)]


def test_question_and_answer(guardian: tuple[socket.socket, socket.socket]) -> None:
    """Everyone who has asked about a session gets the answer of its guardian, once."""
    questions, theirs = guardian
    sessions, asking = Sessions(), peers(2)
    sessions.add(b"name", questions)
    assert [sessions.ask(b"name", peer) for peer in asking] == [True, True]
    assert theirs.recv(10) == b"??"
    theirs.sendall(b"answer")

    assert sessions.receive(questions) == (asking, b"answer")
    theirs.sendall(b"another")
    assert sessions.receive(questions) == ([], b"another")


def test_unknown_session() -> None:
    """About a session that there is not nobody can be asked."""
    assert not Sessions().ask(b"name", peers(1)[0])


def test_session_that_ends(guardian: tuple[socket.socket, socket.socket]) -> None:
    """When a session ends, those who have asked about it get an empty answer, and its name is unknown."""
    questions, theirs = guardian
    sessions, asking = Sessions(), peers(1)
    sessions.add(b"name", questions)
    sessions.ask(b"name", asking[0])
    theirs.close()

    assert sessions.receive(questions) == (asking, b"")
    assert not sessions.ask(b"name", asking[0])


def test_guardian_that_reads_nothing(guardian: tuple[socket.socket, socket.socket]) -> None:
    """A guardian that is stopped keeps the listener from nothing."""
    sessions, peer = Sessions(), peers(1)[0]
    sessions.add(b"name", guardian[0])
    for _ in range(2000):
        assert sessions.ask(b"name", peer)

    assert sessions.receive(guardian[0]) == ([], b" ")


def test_end_of_the_listener(guardian: tuple[socket.socket, socket.socket]) -> None:
    """With the listener the sockets are closed."""
    sessions = Sessions()
    sessions.add(b"name", guardian[0])
    sessions.close()

    assert guardian[1].recv(1) == b""


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, "cancel,status"),
        ({"capabilities": "tls-psk"}, "tls-psk,status"),
        ({"tls": 1, "capabilities": ""}, "status"),
    ],
)
def test_capabilities(fields: dict[str, Any], expected: str) -> None:
    """A capability is added to those that there are, and nothing else changes."""
    assert add_capability(fields, "status") == {**fields, "capabilities": expected}
