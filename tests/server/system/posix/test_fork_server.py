"""The fork server and its guardians."""

from __future__ import annotations

import array
import os
import socket
import subprocess
import sys
from typing import NoReturn

import pytest

from easycluster_protocol._handshake.client import ClientHandshake
from easycluster_protocol.errors import ConnectError
from easycluster_server._system.posix import fork_server as fork_server_module
from easycluster_server._system.posix.proc import find_descendants, read_processes
from easycluster_server._system.posix.worker_starter import ForkServer
from helpers.fork_servers import open_descriptors, spawn
from helpers.masters import identify, wait_until_gone
from helpers.namespaces import WITHOUT_PROC
from helpers.waiting import wait_until

pytestmark = pytest.mark.integration


def test_no_process_for_a_guardian(monkeypatch: pytest.MonkeyPatch) -> None:
    """When there can be no guardian the client is told so, and the fork server keeps nothing."""

    def fail() -> NoReturn:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", fail)
    owner, control = socket.socketpair()
    ours, theirs = socket.socketpair()
    with owner, control, ours:
        with theirs:
            descriptors = array.array("i", [theirs.fileno(), 0, 0, 1, 2])
            owner.sendmsg([b"f"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, descriptors)])
        before = open_descriptors()
        fork_server_module._serve_request(control, lambda read_config, transport: 0, lambda *_: 0, None)
        spare = fork_server_module._spare.pop()
        os.close(spare)

        with pytest.raises(ConnectError, match="no process can be started for it: .*temporarily unavailable"):
            ClientHandshake(None).receive_data(ours.recv(1000))
        assert ours.recv(1) == b""
        assert open_descriptors() == before


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
from easycluster_server._spawn import start_local, worker_starter

clients = [Client(), Client()]
for client in clients:
    client.set_socket(*start_local())
print(*(client.call("os.getpid") for client in clients), flush=True)
sys.stdin.read(1)
worker_starter.close()
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
