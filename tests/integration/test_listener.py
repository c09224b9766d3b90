"""A standalone server with real strangers, clients and processes."""

from __future__ import annotations

import os
import resource
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from easycluster import AuthenticationError, Client, ConnectError, ConnectionLost, define_common
from easycluster_server._system.posix.proc import find_descendants, read_processes
from helpers.masters import Master, identify, parent_of, wait_until_gone
from helpers.servers import Server
from helpers.waiting import PATIENCE, wait_until

REMOTE = """
import os, subprocess, time

def pids():
    return [os.getpid(), os.getppid(), subprocess.Popen(["sleep", "600"], start_new_session=True).pid]

def sleep(path):
    open(path, "w").close()
    time.sleep(600)
"""

Start = Callable[..., Server]


def stranger(server: Server, said: bytes = b"") -> socket.socket:
    """A connection of somebody who says something and no more."""
    connection = socket.create_connection(("127.0.0.1", server.port), PATIENCE)
    connection.sendall(said)
    return connection


def children(server: Server) -> list[int]:
    """The processes below a server."""
    return [process.pid for process in find_descendants(server.process.pid, read_processes())]


def test_no_process_is_started_for_strangers(start_server: Start, key: bytes) -> None:
    """A server on which only strangers have called has no process beside its own."""
    server = start_server()
    for said in (b"GET / HTTP/1.1\r\n\r\n", b"\x01\x00\x00\x00\x10" + bytes(16), b"EZCL" + bytes(100)):
        with stranger(server, said) as connection:
            wait_until(lambda connection=connection: connection.recv(1) == b"")  # type: ignore[misc]
    with pytest.raises(AuthenticationError):
        Client(bytes(reversed(key)), "127.0.0.1", server.port)

    assert children(server) == []
    for reason in ("speaks HTTP", "published EasyCluster", "handshake packet 0", "the key is not the one"):
        server.wait_for_log(reason)


def test_clients_get_in_among_strangers(start_server: Start, key: bytes) -> None:
    """Any number of silent strangers does not keep out a client that knows the key."""
    server = start_server("-c", "QuietServer")
    strangers = [stranger(server) for _ in range(200)]
    with Client(key, "127.0.0.1", server.port) as client:
        assert client.eval("1 + 1") == 2
    for connection in strangers:
        connection.close()


def test_server_that_is_out_of_descriptors(start_server: Start, key: bytes) -> None:
    """A server that has no descriptor left says so, does not spin, and goes on when there is one again."""
    server = start_server("-c", "QuietServer")
    pid = server.process.pid
    limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (len(os.listdir(f"/proc/{pid}/fd")) + 2, limits[1]))
    strangers = [stranger(server) for _ in range(5)]
    server.wait_for_log("could not be accepted: [Errno 24]")
    for connection in strangers:
        connection.close()
    resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
    with Client(key, "127.0.0.1", server.port) as client:
        assert client.eval("1 + 1") == 2

    assert server.log.count("could not be accepted") < 100


@pytest.mark.parametrize("busy", [False, True])
def test_end_of_the_server_ends_its_workers(
    start_server: Start, key: bytes, tmp_path: Path, busy: bool
) -> None:
    """A server that is told to end takes its connections along: clients learn it, and nothing is left."""
    define_common(REMOTE)
    server = start_server()
    client = Client(key, "127.0.0.1", server.port)
    processes = identify(*client.pids())
    response = client.sleep(str(tmp_path / "begun"), nonblocking=True) if busy else None
    if busy:
        wait_until((tmp_path / "begun").exists)
    status = server.stop(signal.SIGTERM)
    with pytest.raises(ConnectionLost):
        client.pids() if response is None else response.wait()
    wait_until_gone(processes)
    client.close()

    assert status == 0


def test_killed_server_leaves_nothing(start_server: Start, key: bytes) -> None:
    """A server that is killed leaves no worker and nothing that a worker started."""
    define_common(REMOTE)
    server = start_server()
    with Client(key, "127.0.0.1", server.port) as client:
        processes = identify(*client.pids(), *children(server))
        server.stop(signal.SIGKILL)
        wait_until_gone(processes)
        with pytest.raises(ConnectionLost):
            client.pids()


def test_killed_fork_server_is_replaced(start_server: Start, key: bytes) -> None:
    """When the process that forks workers is killed, open connections go on and new ones find another."""
    server = start_server()
    with Client(key, "127.0.0.1", server.port) as before:
        keeper = parent_of(before.os.getppid())
        fork_server = parent_of(keeper)
        os.kill(fork_server, signal.SIGKILL)
        wait_until(lambda: parent_of(keeper) != fork_server)
        with Client(key, "127.0.0.1", server.port) as after:
            assert after.eval("1 + 1") == before.eval("1 + 1") == 2


def test_local_fork_server_is_replaced(tmp_path: Path) -> None:
    """The same for the local servers of a master."""
    script = """
        before = connect()
        say(guardian=before.os.getppid())
        hear()
        after = connect()
        say(results=[after.eval("1 + 1"), before.eval("1 + 1")])
    """
    with Master({"name": "local"}, script, tmp_path) as master:
        keeper = parent_of(master.hear()["guardian"])
        fork_server = parent_of(keeper)
        os.kill(fork_server, signal.SIGKILL)
        wait_until(lambda: parent_of(keeper) != fork_server)
        master.say()

        assert master.hear() == {"results": [2, 2]}
        assert master.wait() == 0


def test_allowed_networks(start_server: Start, key: bytes) -> None:
    """Who calls from elsewhere than the allowed networks is refused, whatever key they have."""
    server = start_server("-a", "192.0.2.0/24", "-a", "2001:db8::/32")
    with pytest.raises(ConnectError):
        Client(key, "127.0.0.1", server.port)

    assert "not in an allowed network" in server.wait_for_log("refused")


def test_calls_are_logged(start_server: Start, key: bytes) -> None:
    """With the default class connections and calls are logged, with QuietServer neither."""
    logs: list[str] = []
    for arguments in ((), ("-c", "QuietServer")):
        server = start_server(*arguments)
        with Client(key, "127.0.0.1", server.port) as client:
            client.os.getpid()
        server.stop()
        logs.append(server.log)

    assert "connection from 127.0.0.1:" in logs[0]
    assert "called os.getpid: " in logs[0]
    assert logs[1].count("\n") == 1, "where it listens"


def test_many_clients_at_once(start_server: Start, key: bytes) -> None:
    """Clients that connect at once get a worker each."""
    server = start_server("-c", "QuietServer")
    clients: list[Any] = [Client(key, "127.0.0.1", server.port) for _ in range(20)]
    pids = [client.os.getpid() for client in clients]
    for client in clients:
        client.close()

    assert len(set(pids)) == 20
