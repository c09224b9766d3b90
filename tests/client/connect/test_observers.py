"""Observers of the processes to which clients connect."""

from __future__ import annotations

import contextlib
import errno
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from easycluster_client._address import Address
from easycluster_client._connect import observers
from easycluster_client._connect.observers import LocalObserver, ServerObserver
from easycluster_client._observers import RUNNING, STOPPED, Verdict
from easycluster_protocol._handshake.server import ServerHandshake
from easycluster_protocol._wire.last_words import explain_last_words, pack_last_words
from easycluster_server._io.local_socket import LocalSocket
from helpers.other_thread import OtherThread
from helpers.waiting import PATIENCE


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


# Standalone servers.


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    """Where a server might listen."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


def server_observer(listening: socket.socket, seconds: float = PATIENCE) -> ServerObserver:
    """Return the observer of a session with the name ``name`` there."""
    address = Address(bytes(32), "127.0.0.1", listening.getsockname()[1], False, None, None, (), False)
    return ServerObserver(address, b"name", seconds)


def answer(listening: socket.socket, status: bytes | None, **fields: Any) -> None:
    """Play the server for one question; None: it leaves instead of answering."""
    handshake = ServerHandshake(bytes(32), bytes(16), **{"capabilities": "status", **fields})
    connection, _ = listening.accept()
    with connection:
        while handshake.asked_about is None:
            handshake.receive_data(connection.recv(4096))
            connection.sendall(handshake.data_to_send())
        assert handshake.asked_about == b"name"
        if status is not None:
            handshake.answer(status)
            connection.sendall(handshake.data_to_send())


def ask(observer: ServerObserver) -> None:
    """Ask, and wait until the question is over."""
    observer.ask()
    for thread in threading.enumerate():
        if thread.name == "easycluster-question":
            thread.join(PATIENCE)


@pytest.mark.parametrize(
    "fields", [{}, {"tls": 2, "capabilities": "tls-cert,status"}], ids=["plain", "tls required"]
)
def test_server_that_answers(
    listening: socket.socket, other_thread: OtherThread, fields: dict[str, Any]
) -> None:
    """The answer of the guardian comes through the server, also of one that requires TLS."""
    observer = server_observer(listening)
    other_thread.start(lambda: answer(listening, b"STATE: t 2.5\n", **fields))
    ask(observer)
    found = observer.find_observation()

    assert found is not None
    assert (found.state, found.seen.endswith("after 2.5 seconds of CPU time")) == (STOPPED, True)


@pytest.mark.parametrize("status", [b"", None])
def test_server_that_cannot_tell(
    listening: socket.socket, other_thread: OtherThread, status: bytes | None
) -> None:
    """A server that does not know the session, or leaves, says nothing: only the acknowledgements count."""
    observer = server_observer(listening)
    other_thread.start(lambda: answer(listening, status))
    ask(observer)

    assert observer.find_observation() is None
    assert observer.judge_silence(0) is None
    assert observer.judge_silence(3) == Verdict("lost", "its host does not acknowledge 3 bytes")


def test_server_that_is_frozen(listening: socket.socket) -> None:
    """A host that takes the connection, and where no server says anything, is frozen."""
    observer = server_observer(listening, 0.05)
    ask(observer)
    verdict = observer.judge_silence(5)

    assert verdict is not None
    assert verdict == Verdict("frozen", "its host answers, but neither the process nor the server there does")


def test_host_that_cannot_be_reached(listening: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host to which no connection can be made is lost."""

    def fail(*arguments: Any) -> None:
        raise OSError(errno.EHOSTUNREACH, "No route to host")

    monkeypatch.setattr(observers, "dial", fail)
    observer = server_observer(listening)
    ask(observer)

    assert observer.judge_silence(None) == Verdict(
        "lost", f"its host cannot be reached: [Errno {errno.EHOSTUNREACH}] No route to host"
    )


def test_refused_question(listening: socket.socket) -> None:
    """A question that is refused says nothing: a session would have ended with its server."""
    observer = server_observer(listening)
    listening.close()
    ask(observer)

    assert observer.judge_silence(0) is None


def test_no_thread_for_a_question(listening: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no thread can be started there is no answer, and the next question tries again."""
    observer = server_observer(listening, 0.05)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        observer.ask()
    ask(observer)

    assert observer.judge_silence(None) is not None


def refuse(_: object) -> None:
    """Stand for a start of a thread that fails."""
    raise RuntimeError("can't start new thread")
