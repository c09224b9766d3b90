"""The documentation's examples of "Starting the standalone server", run word for word.

What had to be mended in an example is listed in the docstring of its test.
"""

from __future__ import annotations

import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from easycluster import Client, read_key_file
from helpers.servers import Server, run_command
from helpers.waiting import PATIENCE

GENERATE = "easycluster -g secret.key"
SERVE = "easycluster -S -k secret.key"
SERVE_QUIETLY = "easycluster -S -k secret.key -c QuietServer"


@pytest.fixture
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """The key of the documented command line, in a folder to be in."""
    monkeypatch.chdir(tmp_path)
    command, *arguments = GENERATE.split()
    assert command == "easycluster"
    result = run_command(*arguments)
    assert (result.returncode, result.stderr) == (0, "")
    return read_key_file("secret.key")


def serve(line: str, start_server: Callable[..., Server]) -> Server:
    """Run the documented line of a server."""
    command, action, *arguments = line.split()
    assert (command, action) == ("easycluster", "-S")
    return start_server(*arguments)


def test_generate(key: bytes) -> None:
    """The file of the key is readable only by the user that made it."""
    assert len(key) == 32
    assert stat.S_IMODE(Path("secret.key").stat().st_mode) == 0o600


def test_generate_by_the_module(tmp_path: Path) -> None:
    """`python -m easycluster` is the same command."""
    arguments = GENERATE.split()[1:]
    command = [sys.executable, "-m", "easycluster", *arguments]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=PATIENCE)

    assert len(read_key_file(tmp_path / "secret.key")) == 32


def test_serve(key: bytes, start_server: Callable[..., Server]) -> None:
    """The server serves clients that have the key, and logs each call.

    Mended: the port and the address, which somebody else may have here.
    """
    server = serve(SERVE, start_server)
    with Client(key, "localhost", server.port) as rmt:
        assert rmt.os.path.basename("a/b") == "b"

    server.wait_for_log("called os.path.basename")


def test_serve_quietly(key: bytes, start_server: Callable[..., Server]) -> None:
    """With `-c QuietServer` no call is logged.

    Mended: as above.
    """
    server = serve(SERVE_QUIETLY, start_server)
    with Client(key, "localhost", server.port) as rmt:
        assert rmt.os.path.basename("a/b") == "b"
        rmt.os.write(2, b"the end of it\n")

    assert server.wait_for_log("the end of it\n") == f"{server.announced}\nthe end of it\n"
