"""A server on Windows, under wine: what connections leave behind, whatever ends them."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import easycluster
from easycluster import Client, ConnectionLost
from helpers import wine
from helpers.waiting import wait_until
from helpers.windows_server import WindowsServer

pytestmark = [
    pytest.mark.needs_wine,
    pytest.mark.integration,
    pytest.mark.xdist_group("wine"),
    # The first test that needs a Windows Python installs the packages there.
    pytest.mark.timeout(400),
]

DEFINITIONS = """
import os, subprocess, sys, time

def start_child(seconds=600):
    code = "import sys, time; time.sleep(float(sys.argv[1]))"
    return subprocess.Popen([sys.executable, "-c", code, str(seconds)], stdin=subprocess.DEVNULL)

def children():
    start_child()
    return start_child().pid

def sleep(path):
    children()
    try:
        open(path, "w").close()
        time.sleep(600)
    finally:
        os.remove(path)

def hold_the_lock(path):
    children()
    open(path, "w").close()
    return 3 ** 30_000_000

def detach_one():
    from easycluster.server import detach
    children()
    child = start_child()
    detach(child)
    return child.pid

def leave(status):
    children()
    os._exit(status)
"""

MASTER = """
import sys
from easycluster import Client, define_common, read_key_file
define_common(sys.stdin.read())
with Client(read_key_file(sys.argv[1]), "127.0.0.1", int(sys.argv[2])) as client:
    client.call(sys.argv[3], *sys.argv[4:])
"""


@pytest.fixture(scope="module", params=[wine.OLDEST, wine.USUAL])
def server(
    windows: None, key_file: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[WindowsServer]:
    """A server on Windows, with the oldest Python and with the usual one."""
    server = WindowsServer(tmp_path_factory.mktemp("with a space"), key_file, version=request.param)
    yield server
    server.stop()


@pytest.fixture
def connect(server: WindowsServer, key: bytes, no_definitions: None) -> Callable[[], Client]:
    """Connects to the server, whose definitions are above."""
    easycluster.define_common(DEFINITIONS)
    return lambda: Client(key, "127.0.0.1", server.port)


def wait_until_idle(server: WindowsServer) -> None:
    """Wait until a server has nothing but its listener and one spare interpreter."""
    wait_until(lambda: len(server.list_workers()) == 1, what="the end of all but the spare")


def test_orderly_end(server: WindowsServer, connect: Callable[[], Client]) -> None:
    """After close() nothing is left of a connection, of its children neither."""
    with connect() as client:
        client.children()
        assert len(server.list_workers()) > 1
    wait_until_idle(server)


def test_interrupted_call(server: WindowsServer, connect: Callable[[], Client], tmp_path: Path) -> None:
    """The end of a connection interrupts the main thread of the worker: its ``finally`` blocks run."""
    begun = tmp_path / "begun"
    client = connect()
    client.sleep(wine.windows_path(begun), nonblocking=True)
    wait_until(begun.exists)
    client.close()
    wait_until(lambda: not begun.exists())
    wait_until_idle(server)


@pytest.mark.parametrize("call", ["sleep", "hold_the_lock"])
def test_killed_master(server: WindowsServer, key_file: Path, tmp_path: Path, call: str) -> None:
    """When the master is killed all of its connection ends, also a worker that holds the interpreter's lock in C."""
    begun = tmp_path / "begun"
    arguments = [key_file, server.port, call, wine.windows_path(begun)]
    with subprocess.Popen(
        [sys.executable, "-c", MASTER, *map(str, arguments)], stdin=subprocess.PIPE
    ) as master:
        assert master.stdin
        master.stdin.write(DEFINITIONS.encode())
        master.stdin.close()
        wait_until(begun.exists)
        master.send_signal(signal.SIGKILL)
    wait_until_idle(server)
    assert begun.exists() == (call == "hold_the_lock")


def test_end_with_the_lock_held(server: WindowsServer, connect: Callable[[], Client], tmp_path: Path) -> None:
    """An orderly end, too, comes to a worker that cannot read of it."""
    begun = tmp_path / "begun"
    client = connect()
    client.hold_the_lock(wine.windows_path(begun), nonblocking=True)
    wait_until(begun.exists)
    client.close()
    wait_until_idle(server)


def test_detached_process(server: WindowsServer, connect: Callable[[], Client]) -> None:
    """A process that was given to detach() lives on, and nothing else of its connection does."""
    with connect() as client:
        pid = client.detach_one()
    wait_until(lambda: len(server.list_workers()) == 2)
    with connect() as client:
        assert client.call("os.kill", pid, 15) is None
    wait_until_idle(server)


def test_worker_that_ends_itself(server: WindowsServer, connect: Callable[[], Client]) -> None:
    """The error of a call says how the process ended, and its children end."""
    client = connect()
    with pytest.raises(ConnectionLost, match="ended itself with status 7"):
        client.leave(7)
    wait_until_idle(server)


def test_killed_spare_interpreter(server: WindowsServer, connect: Callable[[], Client]) -> None:
    """A spare interpreter that was ended is replaced when a connection needs it."""
    wait_until_idle(server)
    (spare,) = server.list_workers()
    with suppress(ProcessLookupError):
        subprocess.run(["kill", "-9", str(spare)], check=True)
    wait_until(lambda: spare not in server.list_workers())
    with connect() as client:
        assert client.eval("1 + 1") == 2
    wait_until_idle(server)


def test_killed_listener(
    windows: None, key: bytes, key_file: Path, tmp_path: Path, no_definitions: None
) -> None:
    """When the listener is killed everything ends: spare interpreters, workers, and what they have started."""
    easycluster.define_common(DEFINITIONS)
    server = WindowsServer(tmp_path, key_file)
    client: Any = Client(key, "127.0.0.1", server.port)
    client.children()
    server.stop()
    with pytest.raises(ConnectionLost):
        client.eval("1")
