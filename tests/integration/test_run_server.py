"""Servers that a script runs: `easycluster.server.run_server`, `Server` and `QuietServer`."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import pytest

from easycluster import Client, ConnectError
from helpers.children import start
from helpers.sshd import free_port
from helpers.waiting import PATIENCE, wait_until

KEY = b"k" * 32

SCRIPT = """
import sys, threading
from easycluster.server import *

server_check_runner()
{make}
threading.Thread(target=lambda: (sys.stdin.read(), {stop}())).start()
{serve}
"""

#: What makes a server, what serves, what stops, and what is logged of a connection with one call.
SERVERS = {
    "Server": ("server = Server({arguments})", "server.serve()", "server.stop", "connection call"),
    "QuietServer": ("server = QuietServer({arguments})", "server.serve()", "server.stop", ""),
    "run_server": ("", "run_server({arguments})", "stop_server", ""),
    "run_server, 1": ("", "run_server({arguments}, verbosity=1)", "stop_server", "connection"),
    "run_server, 2": ("", "run_server({arguments}, verbosity=2)", "stop_server", "connection call"),
}


def connect(port: int) -> Any:
    """A client, or None as long as there is no server."""
    try:
        return Client(KEY, "127.0.0.1", port)
    except ConnectError:
        return None


@pytest.mark.parametrize("how", SERVERS.values(), ids=SERVERS)
def test_server_of_a_script(how: tuple[str, str, str, str]) -> None:
    """A script serves until it stops itself; it logs to its terminal as much as was asked for."""
    port = free_port()
    arguments = f"{port}, {KEY!r}, '127.0.0.1'"
    make, serve, stop, logged = how
    script = SCRIPT.format(
        make=make.format(arguments=arguments), serve=serve.format(arguments=arguments), stop=stop
    )
    process = start([sys.executable, "-c", script], stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    with wait_until(lambda: connect(port), what="the server") as client:
        assert client.eval("6 * 7") == 42
    _, log = process.communicate(timeout=PATIENCE)
    patterns = {
        "connection": rb"easycluster: connection from 127\.0\.0\.1:\d+, HMAC-SHA256 by the shared key, not encrypted\n",
        "call": rb"called eval: [\d.]+ ms\n",
    }

    assert process.returncode == 0
    assert {name for name, pattern in patterns.items() if re.search(pattern, log)} == set(logged.split()), log
