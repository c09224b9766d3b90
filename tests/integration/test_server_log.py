"""The log of a standalone server decides over nothing: readers that go or stop, full disks, remote code."""

from __future__ import annotations

import fcntl
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from easycluster import Client, define_common, options
from helpers.children import start
from helpers.client_states import break_connection
from helpers.servers import COMMAND, Server
from helpers.sshd import free_port
from helpers.waiting import PATIENCE, wait_until

#: Calls that print more than a small pipe holds.
CALLS = 200

DEFINITIONS = """
import os, sys

def add(a, b):
    return a + b

class Failing:
    def write(self, text):
        raise RuntimeError("no")

    flush = write

def break_stderr(how):
    if how == "closed":
        sys.stderr.close()
    elif how == "replaced":
        sys.stderr = sys.__stderr__ = Failing()
    elif how == "none":
        sys.stderr = None
    else:
        target = os.open(how, os.O_WRONLY | os.O_CREAT)
        os.dup2(target, 2)
        os.close(target)

def count():
    yield from range(5)
"""


class LoggingServer:
    """A server whose standard error is a pipe of two pages.

    Args:
        folder: for its standard output.
        key_file: its key.
        stdout: another file for its standard output.
        stderr: another file for its standard error.
    """

    def __init__(self, folder: Path, key_file: Path, stdout: str = "", stderr: str = "") -> None:
        self.reading, writing = os.pipe()
        fcntl.fcntl(writing, getattr(fcntl, "F_SETPIPE_SZ", 1031), 8192)
        self.port = free_port()
        command = [COMMAND, "-S", "-k", str(key_file), "-b", "127.0.0.1", "-p", str(self.port)]
        with open(stdout or folder / "out", "wb") as out, open(stderr or writing, "wb") as err:
            self.process = start(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True
            )
        if stderr:
            os.close(writing)
        self._key = key_file.read_text().strip()

    def connect(self) -> Any:
        """Return a client, once the server listens."""

        def try_it() -> Any:
            try:
                return Client.from_spec(f"127.0.0.1:{self.port}:key={self._key}")
            except OSError:
                return None

        return wait_until(try_it)

    def read_until(self, text: str) -> str:
        """Read the log until a text has come."""
        log = ""
        while text not in log:
            data = os.read(self.reading, 1 << 16).decode()
            assert data, log
            log += data
        return log

    def close_reader(self) -> None:
        """Let the reader of the log go."""
        if self.reading >= 0:
            os.close(self.reading)
            self.reading = -1

    def stop(self) -> int:
        """End the server by SIGTERM; return its status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)


@pytest.fixture
def servers(tmp_path: Path, key_file: Path) -> Iterator[Any]:
    """Makes servers."""
    define_common(DEFINITIONS)
    made: list[LoggingServer] = []

    def make(**files: str) -> LoggingServer:
        made.append(LoggingServer(tmp_path, key_file, **files))
        return made[-1]

    yield make
    for server in made:
        server.close_reader()
        if server.process.poll() is None:
            server.process.kill()
            server.process.wait(PATIENCE)


def call_often(client: Any) -> None:
    """Make calls, each of which would print a line."""
    assert [client.add(i, 1) for i in range(CALLS)] == list(range(1, CALLS + 1))


def test_reader_that_is_gone(servers: Any) -> None:
    """When the reader of the log has gone, calls give their values, and further clients come."""
    server = servers()
    first = server.connect()
    server.close_reader()
    call_often(first)
    with server.connect() as second:
        call_often(second)
    first.close()

    assert server.stop() == 0


def test_reader_that_stops(servers: Any) -> None:
    """When it stops, every call of every client goes on, and SIGTERM ends the server."""
    server = servers()
    with server.connect() as first, server.connect() as second:
        call_often(first)
        call_often(second)
        assert first.add(1, 2) == 3

    assert server.stop() == 0


def test_reader_that_reads_again(servers: Any) -> None:
    """When it reads again, the log goes on with the number of lines that were lost."""
    server = servers()
    with server.connect() as client:
        call_often(client)
        printed = server.read_until("called add").count("called add")
        assert client.eval("5") == 5
        log = server.read_until("called eval")

    (lost,) = re.findall(r" easycluster: (\d+) lines? could not be printed here\n", log)
    assert int(lost) + printed + log.count("called add") == CALLS


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_full_disk(servers: Any, stream: str) -> None:
    """A full disk keeps no server from starting, and no call from its value."""
    server = servers(**{stream: "/dev/full"})
    with server.connect() as client:
        call_often(client)
        assert "easycluster 1" in server.read_until("listens on") if stream == "stdout" else True

    assert server.stop() == 0


@pytest.mark.parametrize("how", ["closed", "replaced", "none", "/dev/full", "file"])
def test_remote_code_that_takes_standard_error(servers: Any, tmp_path: Path, how: str) -> None:
    """What remote code does with its standard error changes no value; its files get no line of the log."""
    server = servers()
    path = tmp_path / "mine"
    with server.connect() as client:
        client.break_stderr(str(path) if how == "file" else how)
        call_often(client)

    assert not path.exists() or path.read_text() == ""
    assert server.stop() == 0


def test_lines(start_server: Any, key: bytes, tmp_path: Path) -> None:
    """Files and iterators have one line, calls that fail are marked, and a client that goes is told of."""
    define_common(DEFINITIONS)
    server: Server = start_server()
    with Client(key, "127.0.0.1", server.port) as client:
        with client.open(str(tmp_path / "secret name"), "wb") as file:
            for _ in range(10):
                file.write(bytes(1000))
        (tmp_path / "lines").write_text("a line\n" * 5000)
        with client.open(str(tmp_path / "lines")) as file:
            assert len(list(options(file, prefetch=100))) == 5000
        assert list(client.count()) == list(range(5))
        with pytest.raises(TypeError):
            client.add("secret value", 1)
    log = server.wait_for_log("closed the connection")

    peer = r"^[\d-]+ [\d:,]+ easycluster: 127\.0\.0\.1:\d+"
    for line in (
        r"is done with BufferedWriter: 11 calls, 0 bytes read, 10,000 written, \d+\.\d ms",
        r"is done with TextIOWrapper: \d+ calls, 35,000 characters read, 0 written, \d+\.\d ms",
        r"is done with generator: 5 items, \d+\.\d ms",
        r"called add: \d+\.\d ms, failed: TypeError",
        r"closed the connection after \d+ calls, \d+\.\d s",
    ):
        assert len(re.findall(f"{peer} {line}$", log, re.MULTILINE)) == 1, line
    assert "secret" not in log
    assert "called BufferedWriter" not in log
    assert "next" not in log


def test_client_that_is_lost(start_server: Any, key: bytes) -> None:
    """A client that goes without a word is told of, with the call that it left."""
    define_common(
        "import time\ndef sleep(seconds):\n    print('asleep', flush=True)\n    time.sleep(seconds)"
    )
    server: Server = start_server()
    with Client(key, "127.0.0.1", server.port) as client:
        client.sleep(600, nonblocking=True)
        server.wait_for_log("asleep")
        break_connection(client)
        log = server.wait_for_log("was lost")

    assert re.search(r"was lost after \d+ calls, \d+\.\d s, in the middle of sleep\n", log)
