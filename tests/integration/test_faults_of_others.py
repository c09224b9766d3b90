"""Faults that other libraries for remote execution had; docs/security.md has the list, and the tests of each."""

from __future__ import annotations

import os
import pickle
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from easycluster_protocol.keys import generate_key
from helpers.servers import run_command
from helpers.waiting import PATIENCE

#: Serves, and prints a line when a global name is unpickled, or a command runs, from then on.
SERVE = """
import pickle, sys
from easycluster.server import Server

server = Server(0, bytes.fromhex(sys.argv[1]), "127.0.0.1")

def look(event, args):
    if event in ("pickle.find_class", "os.system"):
        print("SEEN", event, flush=True)

sys.addaudithook(look)
pickle.loads(pickle.dumps(print))  # so the hook is seen to work
print("PORT", server.port, flush=True)
server.serve()
"""


class Payload:
    """Runs a command where it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("echo SEEN payload",)


PACKETS = [
    pickle.dumps(Payload()),
    b"EZCL\x01\x00" + len(pickle.dumps(Payload())).to_bytes(2, "big") + pickle.dumps(Payload()),
    b"GET /?x=__import__('os').system('echo') HTTP/1.1\r\nHost: rebound.example\r\n\r\n",
    b"DELETE /api/jobs HTTP/1.1\r\n\r\n",
]


def test_nothing_is_unpickled_before_the_key() -> None:
    """Whatever somebody sends without the key, the server unpickles and executes none of it."""
    server = subprocess.Popen(
        [sys.executable, "-c", SERVE, generate_key().hex()], stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None
        assert server.stdout.readline() == "SEEN pickle.find_class\n"
        port = int(server.stdout.readline().split()[1])
        for packet in PACKETS:
            with socket.create_connection(("127.0.0.1", port), PATIENCE) as connection:
                connection.sendall(packet)
                while connection.recv(4096):  # until the server closes it
                    pass
    finally:
        server.terminate()
        seen, _ = server.communicate()

    assert seen == ""


def list_listening_sockets() -> set[str]:
    """The names of the sockets on this machine that listen for TCP, as /proc shows them."""
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path("/proc/net", table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A":
                found.add(f"socket:[{fields[9]}]")
    return found


def list_files(pid: int) -> set[str]:
    """What the descriptors of a process lead to."""
    return {os.readlink(path) for path in Path(f"/proc/{pid}/fd").iterdir() if path.is_symlink()}


def test_local_servers_open_no_port(spawn: Callable[..., Any]) -> None:
    """No process of a local server listens on a port."""
    client = spawn()
    worker, guardian = client.os.getpid(), client.os.getppid()
    fork_server = int(client.open(f"/proc/{guardian}/stat").read().rpartition(")")[2].split()[1])

    for pid in (worker, guardian, fork_server):
        assert not list_files(pid) & list_listening_sockets()


@pytest.mark.parametrize("target_exists", [True, False])
def test_planted_pid_file(tmp_path: Path, key_file: Path, target_exists: bool) -> None:
    """A symbolic link in the place of the pid file is not followed: the server does not start."""
    target, planted = tmp_path / "target", tmp_path / "pid"
    if target_exists:
        target.write_text("12\n")
    planted.symlink_to(target)
    result = run_command("-S", "-k", key_file, "-p", 0, "-P", planted)

    assert result.returncode == 1
    assert "symbolic link" in result.stderr
    assert target.read_text() == "12\n" if target_exists else not target.exists()
