"""Processes of the background: without a terminal, and told about by a file with their number."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from typing import Generator

from .this_process import flush_streams

if sys.platform == "win32":
    from .windows.background import go_to_background, lock_file, send_datagram
else:
    from .posix.background import go_to_background, lock_file, send_datagram

__all__ = ["close_input", "go_to_background", "held_pid_file", "open_log", "redirect_output", "send_datagram"]

#: More than the number of a process has.
_MAX_NUMBER_BYTES = 64


def open_log(path: str) -> int:
    """Open a file for what would be printed, and return its descriptor. What is in it stays.

    A new file can be read by this user only: remote code prints there.
    """
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


def redirect_output(descriptor: int) -> None:
    """Let the output and errors of this process, and of those that it starts, go to an open file."""
    flush_streams()
    for standard in (1, 2):
        os.dup2(descriptor, standard)
    os.close(descriptor)


def close_input() -> None:
    """Let standard input of this process be empty."""
    descriptor = os.open(os.devnull, os.O_RDONLY)
    os.dup2(descriptor, 0)
    os.close(descriptor)


@contextlib.contextmanager
def held_pid_file(path: str) -> Generator[None, None, None]:
    """Have a file with the number of this process for as long as the block runs.

    Raises:
        OSError: another process that lives has the file, it holds something else than a number, it is a
            symbolic link, which somebody may have planted, or it cannot be written.
    """
    if os.path.islink(path):  # the flag below makes it certain, and says less
        raise FileExistsError(errno.EEXIST, "it is a symbolic link, which is not followed", path)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o644)
    try:
        try:
            lock_file(descriptor)
        except BlockingIOError as error:
            owner = os.read(descriptor, 20).decode("ascii", "replace").strip()
            raise FileExistsError(
                error.errno, f"process {owner} runs already and has this file", path
            ) from None
        if os.read(descriptor, _MAX_NUMBER_BYTES).strip().strip(b"0123456789"):
            raise FileExistsError(
                errno.EEXIST, "it holds something else than the number of a process; remove it", path
            )
        os.lseek(descriptor, 0, os.SEEK_SET)
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode("ascii"))
        try:
            yield
        finally:
            os.unlink(path)
    finally:
        os.close(descriptor)
