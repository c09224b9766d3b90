"""Serving one connection on standard input and output: what runs behind ssh and other pipes."""

from __future__ import annotations

import os
import socket
import stat
import sys
from importlib import import_module
from typing import Any

from ._supplied import supplied
from ._transport import PipeTransport, SocketTransport
from ._worker import run_pair


def main(config: bytes = b"") -> None:
    """Serve the connection on descriptors 0 and 1; does not return.

    Args:
        config: the names of our modules that will come after the first call, with blanks between.

    The protocol moves to descriptors of its own at once. Afterwards standard input is empty and
    standard output is standard error, so nothing that the user's code or its children print can
    reach the protocol.
    """
    transport = _take_over()
    _import_late_modules()
    restore_path = getattr(sys.modules.get("easycluster_bootstrap"), "restore_path", None)
    if restore_path is not None:  # this code came through the pipe, and has imported what it needs
        restore_path()
    if config:
        supplied.expect(config.decode("ascii").split())
    run_pair(transport, dict, ())


def _import_late_modules() -> None:
    """Import what our modules import only when they need it: from now on the user's folder, which may
    hold files of the same names, is searched first, and bytecode is written."""
    for name in ("ctypes", "importlib.util", "traceback"):
        try:
            import_module(name)
        except ImportError:  # not in every Python of an embedded system
            pass


def _take_over() -> Any:
    read, write = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0, inheritable=True)
    os.close(null)
    os.dup2(2, 1, inheritable=True)
    # One socket for both directions can tell earlier and more surely that the other side is gone.
    if _same_socket(read, write):
        os.close(write)
        return SocketTransport(socket.socket(fileno=read))
    return PipeTransport(read, write)


def _same_socket(read: int, write: int) -> bool:
    first, second = os.fstat(read), os.fstat(write)
    return stat.S_ISSOCK(first.st_mode) and (first.st_dev, first.st_ino) == (second.st_dev, second.st_ino)
