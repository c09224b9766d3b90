"""Standalone servers, started by the real command as a user starts them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from helpers.children import start
from helpers.waiting import PATIENCE, wait_until

COMMAND = str(Path(sys.executable).parent / "easycluster")


def run_command(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run ``easycluster`` to its end."""
    return subprocess.run(
        [COMMAND, *map(str, arguments)],
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE * 2,
        check=False,
    )


def generate_key_file(path: Path) -> Path:
    """Make a key file by ``easycluster -g``."""
    result = run_command("-g", path)
    assert result.returncode == 0, result.stderr
    return path


class Server:
    """A running ``easycluster -S``.

    Args:
        folder: for its log.
        arguments: beside ``-S``; without ``-p`` it listens on a free port, without ``-b`` on 127.0.0.1,
            with None among them on every address.
        command: runs ``easycluster``; that of this Python unless another is given.
        env: variables that it gets beside those of this process.

    Attributes:
        log_file: the file with all that it and its workers print.
        port: its TCP port.
        announced: the line that it printed when it was ready.
    """

    def __init__(
        self,
        folder: Path,
        *arguments: object,
        command: Sequence[str] = (COMMAND,),
        env: Mapping[str, str] | None = None,
    ) -> None:
        command = [*command, "-S", *(str(argument) for argument in arguments if argument is not None)]
        if "-p" not in command:
            command += ["-p", "0"]
        if "-b" not in command and None not in arguments:
            command += ["-b", "127.0.0.1"]
        self.log_file = folder / "server.log"
        with self.log_file.open("wb") as log:
            self.process = self._start(command, log, env or {})
        try:
            wait_until(lambda: "listens on" in self.log or self.process.poll() is not None)
            self.announced = next((line for line in self.log.splitlines() if "listens on" in line), "")
            assert self.announced, f"the server did not start: {self.log}"
        except BaseException:
            self.stop(signal.SIGKILL)
            raise
        self.port = int(re.findall(r":(\d+)(?:,|$)", self.announced)[0])

    def _start(self, command: list[str], log: IO[bytes], env: Mapping[str, str]) -> subprocess.Popen[bytes]:
        """Start it; everything that it prints goes to ``log``."""
        return start(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={**os.environ, **env},
        )

    @property
    def log(self) -> str:
        """What it and its workers have printed so far, but for the warning of a server that runs as root."""
        return re.sub(r"easycluster: connections run as root: .*\n", "", self.whole_log)

    @property
    def whole_log(self) -> str:
        """What it and its workers have printed so far."""
        return self.log_file.read_text()

    def wait_for_log(self, text: str) -> str:
        """Wait until it has printed ``text``, and return all it has printed."""
        wait_until(lambda: text in self.log, what=f"{text!r} in the server's log")
        return self.log

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End it by a signal; return its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(PATIENCE)
