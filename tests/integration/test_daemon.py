"""Servers in the background, with a file of their number, a log and a profile: by the command and by `run_server`."""

from __future__ import annotations

import os
import pstats
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from easycluster import Client, define_common
from helpers.servers import Server, run_command
from helpers.sshd import free_port
from helpers.waiting import PATIENCE, wait_until

DEFINITIONS = "def work():\n    return 6 * 7\n"

SCRIPT = """
import atexit, sys
from easycluster import read_key_file
from easycluster.server import run_server
atexit.register(lambda: print("exit function", flush=True))
try:
    run_server({port}, read_key_file({key!r}), "127.0.0.1", daemonize=True, pidfile={pidfile!r}, profile={profile!r})
except OSError as error:
    print(error)
    sys.exit(5)
"""


@pytest.fixture
def pid_file(tmp_path: Path) -> Iterator[Path]:
    """The file of a daemon's number; the daemon is ended after the test, and the file goes with it."""
    path = tmp_path / "server.pid"
    yield path
    if path.exists():
        os.kill(int(path.read_text()), signal.SIGTERM)
        wait_until(lambda: not path.exists(), what="the end of the daemon")


def test_daemon(tmp_path: Path, key: bytes, key_file: Path, pid_file: Path) -> None:
    """With `-d` the command returns when the server listens; that has a file of its number and a log of its output."""
    port, log = free_port(), tmp_path / "log"
    words = ["-S", "-k", key_file, "-b", "127.0.0.1", "-p", port, "-d", "-P", pid_file, "--log", log]
    result = run_command(*words)

    assert result.returncode == 0, result.stderr
    assert "listens on 127.0.0.1:" in result.stdout
    with Client(key, "127.0.0.1", port) as client:
        client.eval("print('from a call', flush=True)")
        assert client.eval("__import__('os').getcwd()") == "/"
    wait_until(lambda: "from a call" in log.read_text(), what="the output of the call")
    assert "called" not in log.read_text()
    assert f" listens on 127.0.0.1:{port}\n" in log.read_text()

    again = run_command(*words)
    assert again.returncode == 1
    assert f"process {pid_file.read_text().strip()} runs already and has this file" in again.stderr
    os.kill(int(pid_file.read_text()), signal.SIGTERM)
    wait_until(lambda: not pid_file.exists(), what="the end of the daemon")


def test_daemon_that_cannot_listen(tmp_path: Path, key_file: Path) -> None:
    """What a daemon fails of is said by the command, as without `-d`."""
    server = Server(tmp_path, "-k", key_file)
    pid_file = tmp_path / "server.pid"
    result = run_command("-S", "-k", key_file, "-b", "127.0.0.1", "-p", server.port, "-d", "-P", pid_file)
    server.stop()

    assert result.returncode == 1
    assert "choose another port with -p" in result.stderr
    assert result.stderr.count("\n") == 1
    assert not pid_file.exists()


def test_daemon_of_a_script(tmp_path: Path, key: bytes, key_file: Path, pid_file: Path) -> None:
    """`run_server(daemonize=True)` ends its script when the server listens, and raises in it when that cannot be."""
    port = free_port()
    script = SCRIPT.format(
        port=port, key=str(key_file), pidfile=str(pid_file), profile=str(tmp_path / "profile")
    )
    first, second = (
        subprocess.run(
            [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, timeout=PATIENCE, check=False
        )
        for _ in range(2)
    )

    assert (first.returncode, first.stdout) == (0, "")
    assert second.returncode == 5
    assert "runs already" in second.stdout
    with Client(key, "127.0.0.1", port) as client:
        assert client.eval("6 * 7") == 42


def test_pid_file_of_a_killed_server(tmp_path: Path, key_file: Path, pid_file: Path) -> None:
    """The file of a server that was killed does not keep the next one from starting."""
    first = Server(tmp_path, "-k", key_file, "-P", pid_file)
    first.stop(signal.SIGKILL)
    assert pid_file.exists()

    second = Server(tmp_path, "-k", key_file, "-P", pid_file)
    assert pid_file.read_text() == f"{second.process.pid}\n"
    assert second.stop() == 0
    assert not pid_file.exists()


def profiled(path: Path) -> set[str]:
    """The names of the functions in a profile."""
    return {name for _, _, name in pstats.Stats(str(path)).stats}  # type: ignore[attr-defined]


def test_profile(tmp_path: Path, key: bytes, key_file: Path) -> None:
    """`--profile` writes what each connection's process did, and what the server did."""
    define_common(DEFINITIONS)
    path = tmp_path / "profile"
    server = Server(tmp_path, "-k", key_file, "--profile", path)
    with Client(key, "127.0.0.1", server.port) as client:
        assert client.work() == 42
        of_connection = path.with_name(f"profile.{client.os.getpid()}")
    wait_until(of_connection.exists, what="the profile of the connection")
    assert server.stop() == 0

    assert "work" in profiled(of_connection)
    assert "serve" in profiled(path)
