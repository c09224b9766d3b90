"""Masters that may be killed: scripts in processes of their own, connected over any transport."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest

from easycluster_server._system.posix.proc import Process, find_descendants, read_process, read_processes
from helpers.servers import Server
from helpers.waiting import PATIENCE, wait_until

PREAMBLE = """
import json, os, signal, sys, threading, time
import easycluster
from easycluster import Client, define_common
from easycluster_protocol.keys import read_key_file

HOW = json.loads(sys.argv[1])

def connect(clientclass=Client, **options):
    if HOW["name"] == "local":
        return easycluster.server.spawn_local(lambda: clientclass(**options))
    if HOW["name"] == "tcp":
        return clientclass(read_key_file(HOW["key_file"]), "127.0.0.1", HOW["port"], **options)
    return clientclass(host="h", ssh=True, rpython=sys.executable, extra_args=HOW["options"], **options)

def say(**values):
    print(json.dumps(values), flush=True)

def hear():
    return json.loads(sys.stdin.readline())
"""


def way_to_server(request: pytest.FixtureRequest, name: str, server: Server | None = None) -> dict[str, Any]:
    """How a master in another process connects over the transport of this name, to this server or that of the run."""
    how: dict[str, Any] = {"name": name}
    if name in {"tcp", "wine"}:
        server = server or request.getfixturevalue(f"{name}_server")
        assert server is not None
        how.update(name="tcp", port=server.port, key_file=str(request.getfixturevalue("key_file")))
    elif name == "ssh":
        how.update(options=request.getfixturevalue("sshd").options)
    return how


class Master:
    """A running script that may ``connect()``, ``say(key=value)`` and ``hear()``.

    Args:
        how: what `way_to_server` returned.
        script: its source; it is dedented.
        folder: for what it prints to standard error.
        python: the options of the interpreter.

    Used in a ``with`` statement it is killed in the end.
    """

    def __init__(self, how: dict[str, Any], script: str, folder: Path, python: tuple[str, ...] = ()) -> None:
        self._errors = folder / "master.err"
        file = folder / "master.py"
        file.write_text(PREAMBLE + textwrap.dedent(script))
        with self._errors.open("wb") as errors:
            self.process = subprocess.Popen(
                [sys.executable, *python, str(file), json.dumps(how)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )
        self.pid = self.process.pid

    @property
    def errors(self) -> str:
        """What it and its local workers printed to standard error."""
        return self._errors.read_text()

    def hear(self) -> dict[str, Any]:
        """Wait for the next thing that it says."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"the master ended with status {self.process.wait(PATIENCE)}:\n{self.errors}"
        heard: dict[str, Any] = json.loads(line)
        return heard

    def say(self, **values: Any) -> None:
        """Say something to it."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(values).encode() + b"\n")
        self.process.stdin.flush()

    def kill(self) -> None:
        """End it by SIGKILL."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(PATIENCE)

    def wait(self) -> int:
        """Wait until it ends by itself; return its exit status."""
        return self.process.wait(PATIENCE)

    def __enter__(self) -> Master:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.kill()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()


def identify(*pids: int) -> list[Process]:
    """The processes with these ids, so that they are known again although ids are used anew."""
    found = [read_process(pid) for pid in pids]
    assert None not in found, f"one of {pids} has ended already: {found}"
    return [process for process in found if process is not None]


def parent_of(pid: int) -> int:
    """The id of the parent of a process: from a worker on those of guardian, keeper, and fork server."""
    (process,) = identify(pid)
    return process.parent


def all_below(pid: int) -> list[Process]:
    """The process with this id and all its descendants."""
    return [*identify(pid), *find_descendants(pid, read_processes())]


def lives(process: Process) -> bool:
    """Whether it still runs; a zombie does not."""
    now = read_process(process.pid)
    return now is not None and now.started == process.started and now.state != "Z"


def wait_until_gone(processes: list[Process], seconds: float = PATIENCE) -> None:
    """Wait until none of them runs any more."""
    wait_until(lambda: not any(map(lives, processes)), seconds, f"the end of {processes}")


def end(process: Process) -> None:
    """Kill a process that a test expected to live on."""
    assert lives(process), f"{process} has ended"
    os.kill(process.pid, signal.SIGKILL)
    wait_until_gone([process])
