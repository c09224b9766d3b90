"""Programs that masters start, as ssh: how they are started, and what they print."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from typing import List, Optional, Tuple

from . import proc
from .descriptors import limiting_script

#: The flag with which a socket receives or sends what it can without waiting.
DONT_WAIT = socket.MSG_DONTWAIT

#: The signals that end a program, from the kindest on.
END_SIGNALS = (signal.SIGTERM, signal.SIGKILL)

#: Ctrl-C is for the master. The program is in the same process group, so that it can use the terminal to ask;
#: it goes on ignoring the signal if it is started with the signal ignored.
_IGNORE_INTERRUPTS = 'trap "" INT; exec "$@"'


def identify_child(pid: int) -> Optional[int]:
    """Return a value that identifies a child of this process even after its id has been reused.

    Returns:
        When the child was started, in clock ticks since boot; 0: the system has no /proc that says it; None:
        the process is not a child of this one, or has been waited for.
    """
    if not proc.has_own_proc():
        return 0
    child = proc.read_process(pid)
    return child.started if child is not None and child.parent == os.getpid() else None


def shield_command(command: List[str]) -> List[str]:
    """Return a command that runs ``command`` so that Ctrl-C does not end it; it gets the old limit."""
    return ["/bin/sh", "-c", limiting_script() + _IGNORE_INTERRUPTS, "sh", *command]


def open_output() -> Tuple[int, int]:
    """Return two descriptors: what a program prints to the second can be read from the first.

    Raises:
        OSError: the system is out of descriptors.
    """
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    return reading, writing


def read_output(descriptor: int, size: int) -> bytes:
    """Return what a program has printed, at most ``size`` bytes; nothing at its end.

    Raises:
        BlockingIOError: it has printed nothing more.
        OSError: the descriptor is closed.
    """
    return os.read(descriptor, size)


def close_output(descriptor: int) -> None:
    """Close one of the descriptors of `open_output`."""
    os.close(descriptor)


def start_on_socket(command: List[str], connection: socket.socket, errors: int) -> subprocess.Popen[bytes]:
    """Start a program whose standard input and output are a socket.

    Args:
        command: the program, and its arguments.
        connection: the socket.
        errors: of `open_output`; what the program prints to its standard error goes there.

    Raises:
        OSError: it cannot be started.
    """
    end = connection.fileno()
    return subprocess.Popen(command, stdin=end, stdout=end, stderr=errors)
