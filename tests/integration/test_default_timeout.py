"""Programs whose new sockets are non-blocking: after `socket.setdefaulttimeout`, or with gevent."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from easycluster import Client, ConnectError
from easycluster_server._system.posix.proc import read_process
from helpers.children import start
from helpers.exercises import DEFINITIONS, assert_works
from helpers.sshd import free_port
from helpers.waiting import PATIENCE, wait_until

#: A program in the place of ssh: notes the mode of its standard input, and runs the command for the host here.
PROGRAM = """\
#!/bin/sh
for command; do :; done
cat /proc/self/fdinfo/0 /proc/self/fdinfo/1 >{noted}
exec sh -c "$command"
"""

SERVER = """
import socket, sys, threading
socket.setdefaulttimeout({timeout})
import easycluster.server
threading.Thread(target=lambda: (sys.stdin.read(), easycluster.server.stop_server())).start()
easycluster.server.run_server({port}, {key!r}, "127.0.0.1")
"""

KEY = b"k" * 32


@pytest.fixture
def timeout() -> Iterator[None]:
    """Sockets that this process makes from now on have a timeout, and so are non-blocking."""
    socket.setdefaulttimeout(PATIENCE)
    yield
    socket.setdefaulttimeout(None)


def has_mode_non_blocking(fdinfo: str) -> list[bool]:
    """For each descriptor of which /proc tells here, whether it is non-blocking."""
    flags = [int(line.split()[1], 8) for line in fdinfo.splitlines() if line.startswith("flags:")]
    return [bool(flag & os.O_NONBLOCK) for flag in flags]


def find_non_blocking(pid: int) -> set[str]:
    """The descriptors of a process that are non-blocking, but for the standard ones, which it inherited."""
    found = set()
    for path in Path(f"/proc/{pid}/fdinfo").iterdir():
        if int(path.name) > 2 and has_mode_non_blocking(path.read_text()) == [True]:
            found.add(os.readlink(f"/proc/{pid}/fd/{path.name}"))
    return found


def ancestors(worker: int) -> tuple[int, int]:
    """The guardian of a worker, and the process that forked it."""
    guardian = read_process(worker)
    assert guardian is not None
    fork_server = read_process(guardian.parent)
    assert fork_server is not None
    return guardian.parent, fork_server.parent


def assert_all_block(client: Any) -> None:
    """The worker, and the fork server behind it, have descriptors in blocking mode only."""
    worker = client.os.getpid()
    _, fork_server = ancestors(worker)

    assert find_non_blocking(worker) == set()
    assert find_non_blocking(fork_server) == set()


def test_master_with_a_default_timeout(timeout: None, transport: Any, connect: Callable[[], Any]) -> None:
    """Connections work as ever, and no other process gets a descriptor that is non-blocking."""
    from easycluster import define_common

    define_common(DEFINITIONS)
    clients = [connect(), connect()]
    for client in clients:
        assert_works(client)
        if transport.name != "ssh":
            assert_all_block(client)


def test_fork_server_of_such_a_master() -> None:
    """The fork server of a master whose sockets have a timeout waits for the next request, however long that takes."""
    script = (
        "import socket, sys\n"
        "socket.setdefaulttimeout(60)\n"
        "import easycluster\n"
        "with easycluster.server.spawn_local() as client:\n"
        "    print(client.os.getpid(), flush=True)\n"
        "    sys.stdin.read()\n"
        "    print(client.eval('1 + 1'))\n"
    )
    master = start([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert master.stdout is not None
    _, fork_server = ancestors(int(master.stdout.readline()))

    assert find_non_blocking(fork_server) == set()
    assert master.communicate(timeout=PATIENCE)[0] == b"2\n"


def test_program_in_the_place_of_ssh(timeout: None, tmp_path: Path) -> None:
    """A program that connects gets standard input and output in blocking mode."""
    program, noted = tmp_path / "program", tmp_path / "noted"
    program.write_text(PROGRAM.format(noted=noted))
    program.chmod(0o755)
    with Client(host="h", ssh=str(program), rpython=sys.executable) as client:
        assert client.eval("6 * 7") == 42

    assert has_mode_non_blocking(noted.read_text()) == [False, False]


def test_server_with_a_default_timeout() -> None:
    """A script whose sockets have a timeout can serve: the connections that it hands over block."""
    port = free_port()

    def connect() -> Any:
        try:
            return Client(KEY, "127.0.0.1", port)
        except ConnectError:
            return None

    process = start(
        [sys.executable, "-c", SERVER.format(port=port, key=KEY, timeout=60)], stdin=subprocess.PIPE
    )
    with wait_until(connect, what="the server") as client:
        assert_all_block(client)
        assert client.eval("6 * 7") == 42
    process.communicate(timeout=PATIENCE)

    assert process.returncode == 0
