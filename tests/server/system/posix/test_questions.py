"""How a guardian answers questions about its worker."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from easycluster_server._io.questions import Answer, parse_answer
from easycluster_server._system.posix.questions import answer_questions


@pytest.fixture
def sockets() -> Iterator[tuple[socket.socket, socket.socket]]:
    """The socket of a client, and that of a guardian."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def ask(sockets: tuple[socket.socket, socket.socket], pid: int) -> Answer | None:
    """Ask about a process."""
    client, guardian = sockets
    client.sendall(b"?")
    assert answer_questions(guardian.fileno(), pid)
    return parse_answer(client.recv(100))


def test_process_that_runs(sockets: tuple[socket.socket, socket.socket]) -> None:
    """This process runs, and has used the CPU."""
    answer = ask(sockets, os.getpid())

    assert answer is not None
    assert answer.state == "R"
    assert 0 < answer.cpu_seconds <= time.process_time() + 0.1


def test_process_that_is_stopped(sockets: tuple[socket.socket, socket.socket]) -> None:
    """A process that was stopped by a signal is."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        os.kill(process.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED)
        answer = ask(sockets, process.pid)
        process.kill()

    assert answer is not None
    assert answer.is_stopped


def test_process_that_is_not_shown(sockets: tuple[socket.socket, socket.socket]) -> None:
    """Of a process that /proc does not show nothing is known."""
    assert ask(sockets, 1 << 30) == Answer("?", 0.0)


def test_client_that_has_left(sockets: tuple[socket.socket, socket.socket]) -> None:
    """At the end of the questions the guardian is told that none will come any more."""
    sockets[0].close()

    assert not answer_questions(sockets[1].fileno(), os.getpid())


def test_client_that_reads_no_answers(sockets: tuple[socket.socket, socket.socket]) -> None:
    """A guardian waits for nobody who does not read."""
    client, guardian = sockets
    guardian.setblocking(False)
    with pytest.raises(BlockingIOError):
        while True:
            guardian.send(bytes(4096))
    client.sendall(b"?")

    assert answer_questions(guardian.fileno(), os.getpid())
