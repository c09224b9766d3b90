"""Observers of the processes to which clients connect."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

import pytest

from easycluster_client._connect.observers import LocalObserver
from easycluster_client._observers import RUNNING, STOPPED, Verdict
from easycluster_protocol._wire.last_words import explain_last_words, pack_last_words
from easycluster_server._io.local_socket import LocalSocket


@pytest.fixture
def sockets() -> Iterator[tuple[LocalSocket, socket.socket]]:
    """The connection to a local server, and the socket of its guardian."""
    connection, other = LocalSocket.make_pair()
    words, guardian = socket.socketpair()
    connection.words = words
    with other, guardian, contextlib.closing(connection):
        yield connection, guardian


@pytest.mark.parametrize(
    ("letter", "state"), [("R", RUNNING), ("S", RUNNING), ("D", RUNNING), ("T", STOPPED), ("t", STOPPED)]
)
def test_guardian_that_answers(sockets: tuple[LocalSocket, socket.socket], letter: str, state: str) -> None:
    """A process runs, whatever it does, unless its guardian sees it stopped."""
    connection, guardian = sockets
    observer = LocalObserver(connection)
    assert observer.find_observation() is None
    observer.ask()
    assert guardian.recv(10) == b"?"
    guardian.sendall(f"STATE: {letter} 1.50\n".encode())
    found = observer.find_observation()

    assert found is not None
    assert found.state == state
    assert found.seen.endswith(f"{state} (state {letter}), after 1.5 seconds of CPU time")


def test_observation_is_as_old_as_its_question(sockets: tuple[LocalSocket, socket.socket]) -> None:
    """A guardian that falls silent adds nothing to what it has said before."""
    connection, guardian = sockets
    observer = LocalObserver(connection)
    observer.ask()
    guardian.sendall(b"STATE: R 0\n")
    found = observer.find_observation()
    observer.ask()

    assert observer.find_observation() == found


def test_silent_guardian(sockets: tuple[LocalSocket, socket.socket]) -> None:
    """When neither answers, they are frozen: nothing on the same machine can be lost."""
    verdict = LocalObserver(sockets[0]).judge_silence(10)

    assert verdict == Verdict("frozen", "neither its process nor the guardian of that answers")


def test_guardian_that_reads_nothing(sockets: tuple[LocalSocket, socket.socket]) -> None:
    """Asking never waits, however often nobody reads the questions."""
    observer = LocalObserver(sockets[0])
    for _ in range(10_000):
        observer.ask()

    assert observer.find_observation() is None


def test_last_words_after_answers(sockets: tuple[LocalSocket, socket.socket]) -> None:
    """The last words of a guardian are found behind any number of answers."""
    connection, guardian = sockets
    observer = LocalObserver(connection)
    for number in range(1000):
        guardian.sendall(f"STATE: S {number}\n".encode())
        found = observer.find_observation()
    guardian.sendall(pack_last_words("status 3"))

    assert found is not None
    assert found.seen.endswith("after 999.0 seconds of CPU time")
    assert explain_last_words(connection.read_words()) == "the process there has ended itself with status 3"
