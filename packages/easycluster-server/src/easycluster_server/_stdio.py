"""Serving one connection on standard input and output: the server behind ssh and other pipes."""

from __future__ import annotations

import _socket
import os
import stat
import sys
from typing import TYPE_CHECKING

from easycluster_protocol._handshake.hello import Hello

from ._io.transport import PipeTransport, SocketTransport
from ._processes.worker import run_guardian_and_worker
from ._system.this_process import move_up

if TYPE_CHECKING:
    from ._io.transport import Transport
    from ._processes.worker import Config


def main(config: bytes = b"") -> None:
    """Serve the connection on descriptors 0 and 1; does not return.

    Args:
        config: the client's description of itself, if it has sent this code: its highest pickle protocol and
            whether to compress (1 or 0), with a blank between. It then sends no HELLO.

    The protocol moves to descriptors of its own at once. Afterwards standard input is empty and standard
    output is standard error, so nothing that the user's code or its children print can reach the protocol.
    """
    transport = _take_over()
    settings: Config = {}
    if config:
        pickle_protocol, compress = map(int, config.split())
        client = Hello(pickle_protocol=pickle_protocol, compress=compress, codecs="zlib")
        importer = sys.modules["easycluster_bootstrap"]
        settings = {
            "client": client,
            "before_calls": importer.restore_path,
            "add_modules": importer.add,
        }
    run_guardian_and_worker(transport, lambda: settings, ())


def _take_over() -> Transport:
    """Move the connection to descriptors of its own; return its transport."""
    read, write = move_up(os.dup(0)), move_up(os.dup(1))
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0, inheritable=True)
    os.close(null)
    os.dup2(2, 1, inheritable=True)
    # One socket for both directions tells earlier and more surely that the other side is gone.
    if _is_same_socket(read, write):
        os.close(write)
        return SocketTransport(_socket.socket(fileno=read))
    return PipeTransport(read, write)


def _is_same_socket(read: int, write: int) -> bool:
    first, second = os.fstat(read), os.fstat(write)
    return stat.S_ISSOCK(first.st_mode) and (first.st_dev, first.st_ino) == (second.st_dev, second.st_ino)
