"""Masters with more connections than their limit of descriptors allows at first."""

from __future__ import annotations

import subprocess
import sys

import pytest

from helpers.servers import Server
from helpers.sshd import Sshd
from helpers.waiting import PATIENCE

SCRIPT = """
import os, resource, sys
import easycluster
from easycluster import *

resource.setrlimit(resource.RLIMIT_NOFILE, (40, {hard}))
OF_THIS = "__import__('resource').getrlimit(__import__('resource').RLIMIT_NOFILE)[0]"
"""

MANY = """
clients = []
for _ in range(40):
    clients.append(easycluster.server.spawn_local())
clients += easycluster.parallel.connect_all(sys.argv[1:]).values()
print(len(clients), eval(OF_THIS), {client.eval(OF_THIS) for client in clients[:40]})
for task in os.listdir("/proc/self/task"):
    for pid in open(f"/proc/self/task/{task}/children").read().split():
        if open(f"/proc/{pid}/comm").read() == "ssh\\n":
            print(resource.prlimit(int(pid), resource.RLIMIT_NOFILE))
easycluster.parallel.close_all(clients)
"""

TOO_MANY = """
files = []
try:
    while True: files.append(open(os.devnull))
except OSError: pass
try: Client.from_spec(sys.argv[1])
except ConnectError as error: print(error)
"""


def run(script: str, *arguments: object, hard: int) -> str:
    """Run a script that may have 40 descriptors at first; return what it prints."""
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT.replace("{hard}", str(hard)) + script, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE,
        check=False,
    )
    assert result.stderr == ""
    return result.stdout


@pytest.mark.needs_sshd
def test_limit_is_raised_for_connections(sshd: Sshd) -> None:
    """The master gets its hard limit when it needs it; local workers and each ssh get the old one."""
    specs = [f"h{number}:ssh=yes:rpython={sys.executable}:extra=-F {sshd.config}" for number in range(2)]
    printed = run(MANY, *specs, hard=400)

    assert printed.splitlines() == ["42 400 {40}", "(40, 400)", "(40, 400)"]


@pytest.mark.parametrize("way", ["tcp", "ssh"])
def test_no_descriptor_is_left(way: str, tcp_server: Server) -> None:
    """Where the hard limit is reached the error names the host, the limit and what to do."""
    spec = f"127.0.0.1:{tcp_server.port}:key=x" if way == "tcp" else "you@lab1"
    printed = run(TOO_MANY, spec, hard=40)

    assert "cannot connect to" in printed
    assert "this process has 40 files and connections open, which is its limit" in printed


def test_fork_server_that_is_started_late() -> None:
    """A fork server that starts when the limit has been raised gives its workers the old one, too."""
    printed = run(
        "files = [open(os.devnull) for _ in range(30)]\n"
        "with easycluster.server.spawn_local() as client: print(eval(OF_THIS), client.eval(OF_THIS))",
        hard=400,
    )

    assert printed == "400 40\n"
