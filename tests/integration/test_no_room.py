"""Connecting where descriptors or processes have run out: an error that says so, and everything else goes on."""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import easycluster
from easycluster import Client, ConnectError, ThreadedClient
from helpers.masters import parent_of
from helpers.pipes import write_program
from helpers.servers import Server

REFUSED = r"no process can be started for it: \[Errno 24\] Too many open files"

#: Connects again and again, each time with one descriptor less, until none is left; prints the errors.
MASTER = """
import os, resource, sys, threading
import easycluster

def connect():
    if sys.argv[1] == "local":
        return easycluster.server.spawn_local(getattr(easycluster, sys.argv[2]))
    return getattr(easycluster, sys.argv[2])(host="h", ssh=sys.argv[3], rpython=sys.executable)

def count():
    return len(os.listdir("/proc/self/fd"))

def wait_for_threads():
    # That of a ThreadedClient holds descriptors until it ends, a moment after close().
    for thread in threading.enumerate():
        if thread is not threading.current_thread():
            thread.join()

connect().close()
wait_for_threads()
before = count()
messages = set()
for more in reversed(range(25)):
    wait_for_threads()
    resource.setrlimit(resource.RLIMIT_NOFILE, (before + more, before + more))
    try:
        with connect() as client:
            assert client.eval("6 * 7") == 42
    except easycluster.ConnectError as error:
        messages.add(str(error))
    else:
        assert not messages
print("\\n".join(messages))
"""


@contextmanager
def limited(pid: int, descriptors: int) -> Iterator[None]:
    """A process gets no descriptor with this number, or a greater one."""
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (descriptors, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)


@pytest.fixture
def server(start_server: Callable[..., Server]) -> Server:
    """A server of its own."""
    return start_server("-c", "QuietServer")


@pytest.fixture
def connect(server: Server, key: bytes) -> Iterator[Callable[[], Any]]:
    """Connects to the server."""
    clients: list[Any] = []

    def connect() -> Any:
        clients.append(Client(key, "127.0.0.1", server.port))
        return clients[-1]

    yield connect
    for client in clients:
        client.close()


def test_listener_without_descriptors(server: Server, connect: Callable[[], Any]) -> None:
    """A listener that can accept a connection but not hand it over tells the client why."""
    before = connect()
    pid = server.process.pid
    with limited(pid, len(os.listdir(f"/proc/{pid}/fd")) + 1), pytest.raises(ConnectError, match=REFUSED):
        connect()

    assert connect().eval("6 * 7") == before.eval("6 * 7") == 42
    assert "Traceback" not in server.log


def test_fork_server_without_descriptors(server: Server, connect: Callable[[], Any]) -> None:
    """A fork server that can take no connection tells the client why, and goes on when it can again."""
    before = connect()
    fork_server = parent_of(parent_of(before.os.getppid()))
    for limit in (4, 5, 6):
        with limited(fork_server, limit), pytest.raises(ConnectError, match=REFUSED):
            connect()
    after = connect()

    assert parent_of(parent_of(after.os.getppid())) == fork_server
    assert after.eval("6 * 7") == before.eval("6 * 7") == 42
    assert "Traceback" not in server.log


def test_bare_host_without_descriptors(tmp_path: Path) -> None:
    """A host that has no room for the processes of the connection says so."""
    program = write_program(tmp_path / "program", 'exec sh -c "$command"')
    python = write_program(tmp_path / "python", f'ulimit -n 6\nexec {sys.executable} "$@"')
    with pytest.raises(ConnectError, match=REFUSED):
        Client(host="h", ssh=program, rpython=python)


@pytest.mark.parametrize("clientclass", [Client, ThreadedClient])
@pytest.mark.parametrize("way", ["local", "program"])
def test_master_without_descriptors(tmp_path: Path, way: str, clientclass: type) -> None:
    """However many descriptors are missing, the error is a ConnectError with the reason."""
    program = write_program(tmp_path / "program", 'exec sh -c "$command"')
    result = subprocess.run(
        [sys.executable, "-c", MASTER, way, clientclass.__name__, program],
        check=True,
        capture_output=True,
        text=True,
    )

    messages = result.stdout.splitlines()
    assert messages
    assert all(re.search("Errno 24|which is its limit", message) for message in messages), messages
    assert result.stderr == ""


def test_local_server_without_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A local server that cannot be started is a ConnectError, which is an OSError."""

    def fail() -> tuple[Any, Any]:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr("easycluster_server._spawn.make_socket_pair", fail)
    with pytest.raises(ConnectError, match="a local server cannot be started: .*temporarily unavailable"):
        easycluster.server.spawn_local()
