"""Hosts without /proc: in a chroot that has none, and, as far as that can be seen here, macOS and BSD."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from easycluster import Client, ConnectionLost, define_common
from helpers.client_states import break_connection
from helpers.exercises import DEFINITIONS, assert_works
from helpers.masters import end, identify, lives, wait_until_gone
from helpers.namespaces import WITHOUT_PROC
from helpers.servers import COMMAND, Server

pytestmark = pytest.mark.needs_mounts

#: Programs in the place of ssh that run the command for the host where there is no /proc.
COVERED = """\
#!/bin/sh
for command; do :; done
exec unshare --mount sh -c 'mount -t tmpfs tmpfs /proc && exec sh -c "$1"' sh "$command"
"""
CHROOT = """\
#!/bin/sh
for command; do :; done
exec unshare --mount sh -c '
mount --rbind / {folder} && umount -l {folder}/proc && exec chroot {folder} sh -c "$1"' sh "$command"
"""

REMOTE = (
    DEFINITIONS
    + """
import os, subprocess

def start(new_session=False):
    "Start a process that lives long; return its id."
    return subprocess.Popen(["sleep", "600"], start_new_session=new_session).pid

def detach(new_session):
    "Start a process that is to be spared."
    from easycluster.server import detach

    number = start(new_session)
    detach(number)
    return number

def has_proc():
    return os.path.exists("/proc/self")
"""
)


@pytest.fixture(params=["covered", "chroot", "tcp"])
def host(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    start_server: Callable[..., Server],
    key: bytes,
    key_file: Path,
) -> Iterator[Any]:
    """A client of a host that has no /proc."""
    define_common(REMOTE)
    if request.param == "tcp":
        unshare, *arguments = WITHOUT_PROC
        program = shutil.which(unshare)
        server = start_server("-k", key_file, command=[program, *arguments, COMMAND])
        client: Any = Client(key, "127.0.0.1", server.port)
    else:
        launcher, folder = tmp_path / "launcher", tmp_path / "root"
        folder.mkdir()
        launcher.write_text((COVERED if request.param == "covered" else CHROOT).format(folder=folder))
        launcher.chmod(0o755)
        client = Client(host="h", ssh=str(launcher), rpython=sys.executable)
    with client:
        assert not client.has_proc()
        yield client


def test_it_works(host: Any) -> None:
    """All works, and `close()` ends the worker and its process group; a daemon stays."""
    assert_works(host)
    daemon, *others = identify(host.start(True), host.os.getpid(), host.start(), host.start())
    host.close()

    wait_until_gone(others)
    end(daemon)


def test_lost_connection(host: Any) -> None:
    """When the master is lost the process group of the worker ends."""
    daemon, *others = identify(host.start(True), host.os.getpid(), host.start(), host.start())
    break_connection(host)
    with pytest.raises(ConnectionLost):
        host.add(1)

    wait_until_gone(others)
    end(daemon)


def test_dead_worker(host: Any) -> None:
    """When the worker dies its process group ends."""
    daemon, *others = identify(host.start(True), host.os.getpid(), host.start(), host.start())
    with pytest.raises(ConnectionLost):
        host.call("os._exit", 3)

    wait_until_gone(others)
    end(daemon)


def test_detached_process(host: Any) -> None:
    """A process can be spared if it has a session of its own, and otherwise the error says what to do."""
    with pytest.raises(RuntimeError, match=r"no /proc.*start_new_session=True"):
        host.detach(False, origexc="quiet")
    (spared,) = identify(host.detach(True))
    break_connection(host)
    with pytest.raises(ConnectionLost):
        host.add(1)

    end(spared)


def test_killed_master(tmp_path: Path) -> None:
    """When the master of a local server is killed, the server and its process group end."""
    script = tmp_path / "master.py"
    script.write_text(
        "import sys, easycluster\n"
        f"easycluster.define_common({REMOTE!r})\n"
        "client = easycluster.server.spawn_local()\n"
        "assert not client.has_proc()\n"
        "print(client.os.getpid(), client.start(), client.start(), flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [*WITHOUT_PROC, sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as master:
        assert master.stdout is not None
        started = identify(*map(int, master.stdout.readline().split()))
        assert all(map(lives, started))
        master.kill()

    assert len(started) == 3
    wait_until_gone(started)
