"""Going on in the background, locking files, and telling a service manager how it goes."""

from __future__ import annotations

import fcntl
import os
import pickle
import socket
from typing import Callable, Optional

from easycluster_server._system.this_process import flush_streams

from .transport import write_all

#: What the process in the background says when all is well.
_READY = b"ready"


def go_to_background() -> Callable[[Optional[BaseException]], None]:
    """Go on in a new process that belongs to no terminal.

    The process that has called this stays until it knows how the new one does. If all is well, it ends, with
    status 0 and without the exit functions of its program, which are now the new process's.

    Returns:
        In the new process, a function to be called once: with None when all is well, or with the error,
        which is then raised in the process that has called `go_to_background`.

    Raises:
        OSError: no process can be made, or it has ended without a word.
        Exception: the error of the new process.
    """
    flush_streams()
    reading, writing = os.pipe()
    child = os.fork()
    if child:
        os.close(writing)
        with open(reading, "rb") as file:
            said = file.read()
        os.waitpid(child, 0)
        if said == _READY:
            os._exit(0)
        if not said:
            raise OSError("the process in the background has ended before it was ready")
        raise pickle.loads(said)
    os.close(reading)
    os.setsid()
    if os.fork():  # a process that leads no session never gets a terminal
        os._exit(0)
    os.chdir("/")

    def tell(error: Optional[BaseException]) -> None:
        write_all(writing, _READY if error is None else _pack(error))
        os.close(writing)
        if error is not None:
            os._exit(1)

    return tell


def _pack(error: BaseException) -> bytes:
    """Return an error as bytes; one that cannot travel becomes an `OSError` with its name and text."""
    try:
        packed = pickle.dumps(error)
        pickle.loads(packed)
    except Exception:
        packed = pickle.dumps(OSError(f"{type(error).__name__}: {error}"))
    return packed


def lock_file(descriptor: int) -> None:
    """Lock an open file for as long as it stays open.

    Raises:
        BlockingIOError: another process has locked it.
    """
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def send_datagram(address: str, data: bytes) -> None:
    """Send bytes to a socket of this machine; an address that begins with NUL is abstract.

    Raises:
        OSError: nobody is there.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(data, address)
