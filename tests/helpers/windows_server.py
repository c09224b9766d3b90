"""Standalone servers on Windows, under wine."""

from __future__ import annotations

import os
import signal
import subprocess
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO

from helpers import wine
from helpers.children import start
from helpers.leaks import MARK
from helpers.servers import Server
from helpers.waiting import PATIENCE, wait_until

#: A variable of a server and of all that it starts.
_TOKEN = "EASYCLUSTER_TEST_WINDOWS_SERVER"

#: Runs the command with more than one interpreter ahead.
_COMMAND = """
from easycluster_server._command_line import main
from easycluster_server._system.windows.worker_starter import SpareInterpreters
SpareInterpreters.ahead = {}
main()
"""


class WindowsServer(Server):
    """A running ``easycluster.exe -S``, as pip has installed it.

    Args:
        folder: for its log; it may have spaces in its name.
        key_file: the key.
        arguments: beside those that name the key and the address.
        version: of its Python.
        spares: how many interpreters wait ahead of connections.
    """

    def __init__(
        self, folder: Path, key_file: Path, *arguments: object, version: str = wine.USUAL, spares: int = 1
    ) -> None:
        self._token = f"{_TOKEN}={uuid.uuid4()}"
        python = wine.WindowsPython(version)
        command = python.easycluster() if spares == 1 else python.python("-c", _COMMAND.format(spares))
        super().__init__(folder, "-k", wine.windows_path(key_file), *arguments, command=command)
        try:
            wait_until(lambda: len(self.list_workers()) == spares, what="the spare interpreters")
        except BaseException:
            self.stop()
            raise

    def _start(self, command: list[str], log: IO[bytes], env: Mapping[str, str]) -> subprocess.Popen[bytes]:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        variables = wine.environment(**env, **dict([self._token.split("=")]))
        # A spare interpreter takes the place of each one that becomes a worker: they belong to no test.
        variables.pop(MARK, None)
        process = start(command, env=variables, start_new_session=True, **pipes)
        # Programs of wine can use only pipes.
        with process.stdout or log as printed:
            self._copier = start(["/bin/cat"], stdin=printed, stdout=log)
        return process

    @property
    def whole_log(self) -> str:
        """What it and its workers have printed so far."""
        return self.log_file.read_bytes().decode(errors="replace").replace("\r\n", "\n")

    def list_processes(self) -> dict[int, str]:
        """The server, its spare interpreters, its workers and all that they have started: id → command line."""
        found: dict[int, str] = {}
        for name in filter(str.isdigit, os.listdir("/proc")):
            with suppress(OSError):  # it has ended
                if self._token.encode() in Path("/proc", name, "environ").read_bytes():
                    found[int(name)] = Path("/proc", name, "cmdline").read_bytes().decode(errors="replace")
        return found

    def list_workers(self) -> dict[int, str]:
        """The spare interpreters, the workers and all that they have started, but for what wine starts itself."""
        return {
            number: command
            for number, command in self.list_processes().items()
            if "windows.spare" in command or "time.sleep" in command
        }

    def stop(self, number: int = signal.SIGKILL) -> int:
        """End the server alone, at once, as the task manager does, and wait until everything has gone."""
        for process, command in self.list_processes().items():
            if "easycluster" in command and "windows.spare" not in command:
                with suppress(ProcessLookupError):
                    os.kill(process, number)
        status = super().stop(number)
        self._copier.wait(PATIENCE)
        if self.process.stdin:
            self.process.stdin.close()
        wait_until(lambda: not self.list_processes(), what="the end of all that it started")
        return status
