"""The owner's side of the fork server; what comes of it is in the integration tests."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from easycluster_server._system.posix.worker_starter import ForkServer
from helpers.fork_servers import open_descriptors, spawn

pytestmark = pytest.mark.integration


def test_workers(fork_server: ForkServer) -> None:
    """Each spawn is a worker of its own, and costs this process one descriptor in all."""
    before = open_descriptors()
    pids = {spawn(fork_server) for _ in range(3)}

    assert len(pids) == 3
    assert len(open_descriptors() - before) == 1


def test_spawning_in_threads(fork_server: ForkServer) -> None:
    """Threads may spawn at once."""
    pids: list[int] = []
    threads = [threading.Thread(target=lambda: pids.append(spawn(fork_server))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(set(pids)) == 8


def test_large_configuration(fork_server: ForkServer) -> None:
    """A configuration that is larger than a pipe arrives whole."""
    assert spawn(fork_server, {"environ": {"EASYCLUSTER_LARGE": "x" * 300_000}})


def test_configuration_that_nobody_reads(fork_server: ForkServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the fork server dies on the way, the caller does not wait for ever: the connection tells of it."""
    before = open_descriptors()
    ours, theirs = socket.socketpair()
    monkeypatch.setattr(ForkServer, "_request", lambda *_: None)
    with ours:
        with theirs:
            fork_server.spawn(theirs, {"peer": "x" * 300_000})
        assert ours.recv(1) == b""

    assert open_descriptors() == before


def test_python_that_cannot_be_started(
    fork_server: ForkServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """An interpreter that has gone is an OSError, and nothing stays open."""
    before = open_descriptors()
    ours, theirs = socket.socketpair()
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with ours, theirs, pytest.raises(FileNotFoundError):
        fork_server.spawn(theirs, {})

    assert open_descriptors() == before


def test_killed_fork_server(fork_server: ForkServer) -> None:
    """A fork server that was killed is replaced."""
    spawn(fork_server)
    process = fork_server._process
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)
    process.wait()

    assert spawn(fork_server)
    assert fork_server._process is not process


def test_close(fork_server: ForkServer) -> None:
    """Closing waits for the fork server's end; it can be closed again, and used again."""
    before = open_descriptors()
    spawn(fork_server)
    process = fork_server._process
    assert process is not None
    fork_server.close()
    fork_server.close()

    assert process.returncode == 0
    assert open_descriptors() == before
    assert spawn(fork_server)


def test_forked_owner() -> None:
    """A child of the owner has closed its end, holds no lock, and may have a fork server of its own."""
    script = """
import os, socket, sys, threading
from easycluster_server._spawn import start_local, worker_starter as fork_server

def held():
    found = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            found.add(os.readlink(f"/proc/self/fd/{name}"))
        except OSError:  # that of listdir itself
            pass
    return found

connection, _ = start_local()
ours = fork_server._process.pid
before = os.readlink(f"/proc/self/fd/{fork_server._control.fileno()}")
fork_server._lock.acquire()
if os.fork() == 0:
    inherited = held()
    another, _ = start_local()
    theirs = fork_server._process.pid
    fork_server.close()
    print(before in inherited, theirs != ours, flush=True)
    os._exit(0)
os.wait()
connection.close()
fork_server._lock.release()
fork_server.close()
"""
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], check=True, capture_output=True, text=True
    )

    assert result.stdout == "False True\n"
    assert (
        result.stderr.replace("easycluster: the peer closed the connection during the handshake\n", "") == ""
    )


# When the system refuses.


def test_fork_server_that_has_just_died(fork_server: ForkServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fork server that dies when it is asked, unnoticed yet, is replaced."""
    spawn(fork_server)
    process = fork_server._process
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    with monkeypatch.context() as patch:
        patch.setattr(process, "poll", lambda: None)
        assert spawn(fork_server)
