"""Servers behind any command that gives a pipe: the bootstrap knows nothing of ssh."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from easycluster import Client, ConnectionLost, define_common
from easycluster_server._system.posix.proc import Process, read_processes
from helpers.client_states import break_connection
from helpers.exercises import DEFINITIONS, assert_works
from helpers.masters import lives, wait_until_gone
from helpers.waiting import wait_until

#: Runs the last of its arguments, which is the command for the host, by another command.
PROGRAM = """\
#!/bin/sh
for command; do :; done
{launch} "$command"{end}
"""

REMOTE = (
    DEFINITIONS
    + """
import os
import subprocess

def start(seconds, daemon):
    "Start a process that lives long: a child of this one, in its session or in one of its own."
    subprocess.Popen(["sleep", seconds], start_new_session=daemon)

def user():
    return os.geteuid()
"""
)

Connect = Callable[..., Client]

#: Seconds that processes of a test are to live, each a number of its own.
_lives = itertools.count(200_000)


def launcher(name: str, launch: str, *needs: str, end: str = "") -> Any:
    """A way to start servers; ``end`` follows the command."""
    return pytest.param(
        PROGRAM.format(launch=launch, end=end), marks=[getattr(pytest.mark, need) for need in needs], id=name
    )


LAUNCHERS = [
    launcher("sh", "exec sh -c"),
    launcher("env", "exec env -i sh -c"),
    launcher("session", "exec setsid --wait sh -c"),
    launcher("sudo", "exec sudo -n sh -c", "needs_sudo"),
    launcher("unshare", "exec unshare --fork --pid --mount-proc sh -c", "needs_mounts"),
    launcher(
        "with an init",
        """exec unshare --fork --pid --mount-proc sh -c 'sh -c "$1"; exit $?' sh""",
        "needs_mounts",
    ),
    launcher("foreign proc", "exec unshare --fork --pid sh -c", "needs_mounts"),
    launcher(
        "alone",
        "exec unshare --fork --pid --mount-proc --ipc --uts --net sh -c",
        "needs_mounts",
        "needs_netns",
    ),
    launcher("chroot", "exec unshare --mount chroot / sh -c", "needs_mounts"),
]
every_launcher = pytest.mark.parametrize(
    "program", [*LAUNCHERS, launcher("pipes", "cat | sh -c", end=" | cat")]
)
# The first `cat` of that one sees the end of what stands behind it only when it is sent something more.
every_attentive_launcher = pytest.mark.parametrize("program", LAUNCHERS)


@pytest.fixture
def connect(tmp_path: Path, no_leaks: None) -> Connect:
    """Makes a client whose ``ssh`` is a program."""
    define_common(REMOTE)

    def connect(program: str, **options: Any) -> Client:
        path = tmp_path / "launcher"
        path.write_text(program)
        path.chmod(0o755)
        return Client(**{"host": "h", "ssh": str(path), "rpython": sys.executable, **options})

    return connect


def sleeper(seconds: str) -> Process:
    """The process that sleeps so long; it is seen from here whatever namespace it is in."""
    command = f"sleep\0{seconds}\0".encode()

    def find() -> list[Process]:
        return [process for process in read_processes().values() if _command(process) == command]

    (found,) = wait_until(find)
    return found


def _command(process: Process) -> bytes:
    try:
        return Path(f"/proc/{process.pid}/cmdline").read_bytes()
    except OSError:  # it has ended
        return b""


def start_sleeper(client: Any, daemon: bool = False) -> Process:
    """Let remote code start a process."""
    seconds = str(next(_lives)) + str(os.getpid())
    client.start(seconds, daemon)
    return sleeper(seconds)


@every_launcher
def test_works_behind_every_pipe(connect: Connect, program: str) -> None:
    """Whatever command leads to the host, all works, and `close()` ends what runs in the worker's session."""
    with connect(program) as client:
        assert_works(client)
        process = start_sleeper(client)
        assert lives(process)

    wait_until_gone([process])


@every_launcher
def test_lost_pipe_ends_everything(connect: Connect, program: str) -> None:
    """When the pipe breaks, all that remote code started ends, daemons too, also in namespaces."""
    with connect(program) as client:
        processes = [start_sleeper(client), start_sleeper(client, daemon=True)]
        break_connection(client)
        with pytest.raises(ConnectionLost):
            client.add(1)

    wait_until_gone(processes)


@every_attentive_launcher
def test_dead_worker_ends_everything(connect: Connect, program: str) -> None:
    """When the worker dies, the client learns of it, and all that it started ends."""
    with connect(program) as client:
        processes = [start_sleeper(client), start_sleeper(client, daemon=True)]
        with pytest.raises(ConnectionLost):
            client.call("os._exit", 3)

    wait_until_gone(processes)


def test_environment_is_not_needed(connect: Connect) -> None:
    """A server starts with an empty environment, as there is none of ssh's."""
    with connect(PROGRAM.format(launch="exec env -i /bin/sh -c", end="")) as client:
        found = client.eval("sorted(__import__('os').environ)")

    assert set(found) <= {"PWD", "SHLVL", "_", "OLDPWD", "LC_CTYPE"}


@pytest.mark.needs_sudo
def test_another_user(connect: Connect) -> None:
    """A server may be another user's, and ends in order nevertheless."""
    find = subprocess.run(
        ["sudo", "-n", "-u", "nobody", "python3", "-c", ""],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    if find.returncode != 0:
        pytest.skip("there is no python3 that the user nobody may run")
    with connect(PROGRAM.format(launch="exec sudo -n -u nobody sh -c", end=""), rpython=None) as client:
        assert_works(client)
        assert client.user() != os.geteuid()
        process = start_sleeper(client)

    wait_until_gone([process])
