"""Standalone servers on Windows, under wine, started by the real ``easycluster.exe``."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from helpers import wine
from helpers.children import start
from helpers.leaks import MARK
from helpers.servers import Server


class WineServer(Server):
    """A running ``easycluster.exe -S``.

    Args:
        python: the Windows Python that it belongs to.
        folder: for its log.
        key_file: its key file.
        arguments: further arguments, see `Server`.
    """

    def __init__(self, python: wine.WindowsPython, folder: Path, key_file: Path, *arguments: object) -> None:
        key = wine.windows_path(key_file)
        super().__init__(folder, "-k", key, *arguments, command=python.easycluster())

    def _start(self, command: list[str], log: IO[bytes], env: Mapping[str, str]) -> subprocess.Popen[bytes]:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        # A spare interpreter takes the place of each one that becomes a worker: they belong to no test.
        variables = {name: value for name, value in wine.environment(**env).items() if name != MARK}
        process = start(command, start_new_session=True, env=variables, **pipes)
        with process.stdout or log as printed:
            self._copier = subprocess.Popen(["cat"], stdin=printed, stdout=log)
        return process

    def stop(self, number: int = signal.SIGKILL) -> int:
        """End it as the task manager does; return its exit status."""
        try:
            return super().stop(number)
        finally:
            if self.process.stdin:
                self.process.stdin.close()
            self._copier.wait()
