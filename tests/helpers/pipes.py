"""Pipes with a name: a remote function on this machine waits until a test writes to one; programs that give a pipe."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType


class Pipe:
    """A pipe that is open here for reading and writing, so that opening it never blocks.

    Attributes:
        path: its name, as a remote function takes it.
    """

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.path = str(path)
        self._file = path.open("r+b", buffering=0)

    def write(self, text: str) -> None:
        """Write something."""
        self._file.write(text.encode())

    def close(self) -> None:
        """Close it."""
        self._file.close()

    def __enter__(self) -> Pipe:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def write_program(path: Path, script: str) -> str:
    """Write a program that takes the place of ssh; return its path.

    Args:
        path: where to write it.
        script: a shell script, in which ``$command`` is the command for the host.
    """
    path.write_text(f"#!/bin/sh\nfor command; do :; done\n{script}\n")
    path.chmod(0o755)
    return str(path)
