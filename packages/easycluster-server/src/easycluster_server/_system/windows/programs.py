"""Programs that masters start, as ssh: how they are started, and what they print.

A program takes pipes for its standard streams, and nobody can wait for pipes and sockets together. So threads
carry the bytes between the pipes and sockets. They end with the program.
"""

from __future__ import annotations

import _socket
import os
import signal
import socket
import subprocess
import threading
from typing import IO, Dict, Iterable, List, Optional, Tuple

from .socket_pairs import make_socket_pair

#: No flag: the sockets of connections never wait here.
DONT_WAIT = 0

#: The signals that end a program: there is one way to do so.
END_SIGNALS = (signal.SIGTERM,)

_CHUNK = 1 << 16


class Process:
    """A line of the process table, which is not read here."""

    pid: int
    parent: int
    started: int
    state: str


def has_own_proc() -> bool:
    """Return False: there is no /proc."""
    return False


def identify_child(_pid: int) -> Optional[int]:
    """Return None: a program needs nobody who ends it after this process, with which its pipes end."""
    return None


def read_processes() -> Dict[int, Process]:
    """Return no processes."""
    return {}


def read_process(_pid: int) -> Optional[Process]:
    """Return None."""
    return None


def find_descendants(_pid: int, _table: Dict[int, Process]) -> List[Process]:
    """Return no processes: what ssh has started ends when its pipes do."""
    return []


def send_signal(processes: Iterable[Process], number: int) -> None:
    """Do nothing."""


def limiting_script() -> str:
    """Return nothing: there is no limit on descriptors to be had back."""
    return ""


def with_old_limit(command: List[str]) -> List[str]:
    """Return the command."""
    return command


def shield_command(command: List[str]) -> List[str]:
    """Return the command: `start_on_socket` keeps Ctrl-C from it."""
    return command


def open_output() -> Tuple[int, int]:
    """Return two sockets: what a program prints to the second can be read from the first.

    Raises:
        OSError: the system is out of sockets.
    """
    reading, writing = make_socket_pair()
    reading.setblocking(False)
    return reading.detach(), writing.detach()


def read_output(descriptor: int, size: int) -> bytes:
    """Return what a program has printed, at most ``size`` bytes; nothing at its end.

    Raises:
        BlockingIOError: it has printed nothing more.
        OSError: the socket is closed.
    """
    reading = _socket.socket(fileno=descriptor)
    try:
        return reading.recv(size)
    finally:
        reading.detach()


def close_output(descriptor: int) -> None:
    """Close one of the sockets of `open_output`."""
    socket.close(descriptor)


def start_on_socket(command: List[str], connection: socket.socket, errors: int) -> subprocess.Popen[bytes]:
    """Start a program whose standard input and output lead to a socket.

    Args:
        command: the program, and its arguments.
        connection: the socket.
        errors: of `open_output`; what the program prints to its standard error goes there.

    Raises:
        OSError: it cannot be started.
    """
    link = connection.dup()
    printed = socket.socket(fileno=socket.dup(errors))
    try:
        for end in (link, printed):
            end.setblocking(True)
        process = subprocess.Popen(
            command,
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # A group of its own gets no Ctrl-C, which is for the master.
            creationflags=subprocess.CREATE_NEW_PROCESS_GROUP,
        )
    except BaseException:
        link.close()
        printed.close()
        raise
    assert process.stdin
    assert process.stdout
    assert process.stderr
    # When the program closes its output, nothing can be sent to it any more, either.
    for target, arguments in (
        (_carry_in, (link, process.stdin)),
        (_carry_out, (process.stdout, link, socket.SHUT_RDWR)),
        (_carry_out, (process.stderr, printed, socket.SHUT_WR)),
    ):
        threading.Thread(target=target, args=arguments, name="easycluster-pipe", daemon=True).start()
    return process


def _carry_in(source: socket.socket, target: IO[bytes]) -> None:
    try:
        while True:
            data = memoryview(source.recv(_CHUNK))
            if not data:
                break
            while data:
                data = data[target.write(data) :]
    except OSError:
        pass
    finally:
        try:
            target.close()
        except OSError:  # the program has ended
            pass


def _carry_out(source: IO[bytes], target: socket.socket, direction: int) -> None:
    try:
        while True:
            data = os.read(source.fileno(), _CHUNK)
            if not data:
                break
            target.sendall(data)
    except OSError:
        pass
    finally:
        try:
            target.shutdown(direction)
        except OSError:  # the other end is closed
            pass
        target.close()
        source.close()
