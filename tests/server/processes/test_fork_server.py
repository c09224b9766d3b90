"""The owner's side of the fork server; what comes of it is in the integration tests."""

from __future__ import annotations

import array
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest

from easycluster_protocol._handshake.client import ClientHandshake
from easycluster_protocol._wire.link import CLIENT
from easycluster_protocol.errors import ConnectError
from easycluster_server._io.handshake import shake_hands
from easycluster_server._io.transport import SocketTransport
from easycluster_server._processes import fork_server as fork_server_module
from easycluster_server._processes.fork_server import ForkServer, describe_environment
from easycluster_server._system.proc import find_descendants, read_processes
from helpers.masters import identify, wait_until_gone
from helpers.namespaces import WITHOUT_PROC
from helpers.waiting import PATIENCE, wait_until

if TYPE_CHECKING:
    from easycluster_server._processes.worker import Config

pytestmark = pytest.mark.integration


@pytest.fixture
def fork_server() -> Iterator[ForkServer]:
    """A fork server of its own for one test."""
    fork_server = ForkServer()
    yield fork_server
    fork_server.close()


def spawn(fork_server: ForkServer, config: Config | None = None) -> int:
    """Start a worker, shake hands with it and let it go; return its process id."""
    ours, theirs = socket.socketpair()
    ours.settimeout(PATIENCE)
    with ours:
        with theirs:
            fork_server.spawn(theirs, config or {})
        handshake = ClientHandshake(None)
        shake_hands(handshake, SocketTransport(ours), CLIENT)
        assert handshake.peer is not None
        return int(handshake.peer.process)


def open_descriptors() -> set[str]:
    """Those of this process."""
    return set(os.listdir("/proc/self/fd"))


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
    monkeypatch.setattr(ForkServer, "_request", lambda self, link, config: None)
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
from easycluster_server._processes.fork_server import fork_server
from easycluster_server._spawn import start_local

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


# What a local worker inherits.


def test_master_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A local worker is told environment, folder, umask and module path of its master."""
    monkeypatch.setenv("EASYCLUSTER_TEST_VALUE", "1")
    monkeypatch.chdir(tmp_path)
    before = os.umask(0o037)
    try:
        found = describe_environment()
    finally:
        os.umask(before)

    assert found == {
        "environ": dict(os.environ),
        "path": sys.path,
        "argv": [""],
        "cwd": str(tmp_path),
        "umask": 0o037,
    }


def raise_os_error(*arguments: object) -> NoReturn:
    """Take the place of a function that fails."""
    raise OSError(*arguments)


def test_umask_without_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no /proc a shell tells the umask."""
    monkeypatch.setattr(fork_server_module, "open", raise_os_error, raising=False)
    before = os.umask(0o037)
    try:
        assert describe_environment()["umask"] == 0o037
    finally:
        os.umask(before)


def test_umask_that_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system does not tell the umask, it is not passed on; nor is it touched."""
    monkeypatch.setattr(fork_server_module, "open", raise_os_error, raising=False)
    monkeypatch.setattr(subprocess, "check_output", raise_os_error)

    assert "umask" not in describe_environment()


# When the system refuses.


def test_no_process_for_a_guardian(monkeypatch: pytest.MonkeyPatch) -> None:
    """When there can be no guardian the client is told so, and the fork server keeps nothing."""

    def fail() -> NoReturn:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", fail)
    owner, control = socket.socketpair()
    ours, theirs = socket.socketpair()
    with owner, control, ours:
        with theirs:
            descriptors = array.array("i", [theirs.fileno(), 0, 1, 2])
            owner.sendmsg([b"f"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, descriptors)])
        before = open_descriptors()
        fork_server_module._serve_request(control)
        spare = fork_server_module._spare.pop()
        os.close(spare)

        with pytest.raises(ConnectError, match="no process can be started for it: .*temporarily unavailable"):
            ClientHandshake(None).receive_data(ours.recv(1000))
        assert ours.recv(1) == b""
        assert open_descriptors() == before


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


# Its guardians.


def test_guardians_are_reaped(fork_server: ForkServer) -> None:
    """Guardians that have ended leave no zombies behind, although nobody asks for a worker again."""
    spawn(fork_server)
    assert fork_server._process is not None
    pid = fork_server._process.pid

    wait_until(lambda: not find_descendants(pid, read_processes()))
    wait_until(lambda: all(process.parent != pid for process in read_processes().values()))
    assert spawn(fork_server)
    assert fork_server._process.pid == pid


@pytest.mark.parametrize("prefix", [(), pytest.param(WITHOUT_PROC, marks=pytest.mark.needs_mounts)])
def test_workers_end_with_their_owner(prefix: tuple[str, ...]) -> None:
    """When the owner closes the fork server its workers end, although their masters live; /proc is not needed."""
    script = """
import os, sys
from easycluster_client import Client
from easycluster_server._processes.fork_server import fork_server
from easycluster_server._spawn import start_local

clients = [Client(), Client()]
for client in clients:
    client.set_socket(*start_local())
print(*(client.call("os.getpid") for client in clients), flush=True)
sys.stdin.read(1)
fork_server.close()
sys.stdin.read(1)
"""
    with subprocess.Popen(
        [*prefix, sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as owner:
        assert owner.stdin is not None
        assert owner.stdout is not None
        workers = identify(*map(int, owner.stdout.readline().split()))
        owner.stdin.write(b"x")
        owner.stdin.flush()
        wait_until_gone(workers)
        assert owner.poll() is None
