"""Standalone servers on Windows, under wine."""

from __future__ import annotations

import os
import re
import subprocess
import uuid
from pathlib import Path

from helpers import wine
from helpers.children import start
from helpers.leaks import MARK
from helpers.waiting import PATIENCE, wait_until

#: A variable of a server and of all that it starts.
_TOKEN = "EASYCLUSTER_TEST_WINDOWS_SERVER"


class WindowsServer:
    """A running ``easycluster -S`` of Windows, as pip has installed it.

    Args:
        folder: for its log; it may have spaces in its name.
        key_file: the key.
        arguments: beside those that name the key and the address.
        version: of its Python.

    Attributes:
        port: its TCP port.
    """

    def __init__(self, folder: Path, key_file: Path, *arguments: object, version: str = wine.USUAL) -> None:
        self._token = f"{_TOKEN}={uuid.uuid4()}"
        # The interpreter that waits for the next connection is no leak of a test.
        variables = wine.environment(**dict([self._token.split("=")]))
        self._log = folder / "server of Windows.log"
        options = ["-S", "-k", wine.windows_path(key_file), "-b", "127.0.0.1", "-p", "0", *arguments]
        self.process = start(
            wine.WindowsPython(version).easycluster(*options),
            env={name: value for name, value in variables.items() if name != MARK},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        # Programs of wine can use only pipes.
        with self._log.open("wb") as log:
            self._reader = start(["/bin/cat"], stdin=self.process.stdout, stdout=log)
        try:
            wait_until(lambda: "listens on" in self.log or self.process.poll() is not None)
            self.port = int(re.findall(r"listens on .*?:(\d+)", self.log)[0])
            wait_until(lambda: any("spare" in command for command in self.list_processes().values()))
        except BaseException:
            self.kill()
            raise

    @property
    def log(self) -> str:
        """What it and its workers have printed so far."""
        return self._log.read_bytes().decode(errors="replace").replace("\r\n", "\n")

    def list_processes(self) -> dict[int, str]:
        """The server, its spare interpreter, its workers and all that they have started: id → command line."""
        found: dict[int, str] = {}
        for name in filter(str.isdigit, os.listdir("/proc")):
            try:
                if self._token.encode() in Path("/proc", name, "environ").read_bytes():
                    found[int(name)] = Path("/proc", name, "cmdline").read_bytes().decode(errors="replace")
            except OSError:  # it has ended
                pass
        return found

    def list_workers(self) -> dict[int, str]:
        """The spare interpreter, the workers and all that they have started, but for what wine starts itself."""
        return {
            number: command
            for number, command in self.list_processes().items()
            if "windows.spare" in command or "time.sleep" in command
        }

    def kill(self) -> None:
        """End the server alone, at once, and wait until everything has gone."""
        for number, command in self.list_processes().items():
            if "easycluster" in command and "spare" not in command:
                self._kill(number)
        self.process.kill()
        self.process.wait(PATIENCE)
        self._reader.wait(PATIENCE)
        for stream in (self.process.stdin, self.process.stdout):
            assert stream
            stream.close()
        wait_until(lambda: not self.list_processes())

    def _kill(self, number: int) -> None:
        try:
            os.kill(number, 9)
        except ProcessLookupError:
            pass
