"""What stands for ssh or for the sshd at its other end, and behaves badly."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from easycluster_server._system.posix.proc import Process
from helpers.waiting import PATIENCE


@contextmanager
def listener(behave: Callable[[socket.socket], None]) -> Iterator[int]:
    """Somebody who treats the one connection as ``behave`` says; gives the port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(PATIENCE)

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.settimeout(PATIENCE)
                behave(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            thread.join()


def say_nothing(connection: socket.socket) -> None:
    """Read until the other side leaves."""
    try:
        while connection.recv(4096):
            pass
    except ConnectionResetError:
        pass


def make_stand_ins(tmp_path: Path) -> Callable[[str], str]:
    """The fixture ``stand_in``, which makes a program of a script; it has the remote command in ``$command``, and answers no questions."""

    def make(script: str) -> str:
        path = tmp_path / "stand-in"
        path.write_text(f'#!/bin/sh\n[ "$1" = -G ] && exit 1\nfor command; do :; done\n{script}\n')
        path.chmod(0o755)
        return str(path)

    return make


def name_of(process: Process) -> str:
    """The name of a process's program; nothing when it has gone."""
    try:
        return Path(f"/proc/{process.pid}/comm").read_text().rstrip()
    except OSError:
        return ""
