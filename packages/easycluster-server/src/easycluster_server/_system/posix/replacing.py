"""Starting Python again in the place of this process, with code that a client has sent.

What the new process finds never changes, because it may be of any other version: its standard input is the
client's bundle, its standard error is that of the server, and descriptors 1, 3 and 4 are as `DESCRIPTORS`
says. SIGTERM is blocked; the new process lets it through when it is ready for it. Arguments and environment
are those of any process here, and hold nothing secret.
"""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import sys
from functools import partial
from typing import BinaryIO, Callable, NoReturn, Tuple

from .last_words import say_last_words
from .libc import call
from .processes import move_up

if sys.platform == "linux" and sys.version_info >= (3, 8):
    from os import memfd_create  # novm
else:

    def memfd_create(name: str) -> int:
        """Do what systems without the function do."""
        raise OSError(name)


#: The descriptors of the new process, beside standard error: the bundle, the connection, standard output, and
#: a pipe with the session.
DESCRIPTORS = BUNDLE, CONNECTION, OUTPUT, SESSION = 0, 1, 3, 4

_PR_SET_PDEATHSIG = 1


def replace_process(line: str, bundle: bytes, session: bytes, connection: int) -> NoReturn:
    """Start Python in the place of this process; does not return.

    Args:
        line: what Python runs.
        bundle: its standard input.
        session: what it reads from the pipe; less than a pipe holds.
        connection: the descriptor of the connection.

    Raises:
        OSError: it cannot be started, or there is no room for the bundle.
    """
    reading, writing = os.pipe()
    with open(writing, "wb") as file:
        file.write(session)
    with _open_memory() as file:
        file.write(bundle)
        file.seek(0)
        # First away from the numbers that they will have, so that none takes the place of another.
        sources = [
            fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 10)
            for descriptor in (file.fileno(), connection, 1, reading)
        ]
        for source, descriptor in zip(sources, DESCRIPTORS):
            os.dup2(source, descriptor, inheritable=True)
        # The process may have changed its user, and then its parent may not end it by a signal.
        call("prctl", _PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        # A server that stops must not end the new process before that can end what its worker has started.
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM,))
        os.execv(sys.executable, [sys.executable, "-c", line])  # noqa: S606 -- it takes our place


def take_over_session() -> Tuple[socket.socket, int, Callable[[str], object]]:
    """Give this process, which `replace_process` has started, the standard descriptors of any other.

    Returns:
        The connection, the descriptor from which the session is read, and what takes the last words of a
        guardian.
    """
    connection = socket.socket(fileno=move_up(os.dup(CONNECTION)))
    os.dup2(OUTPUT, 1, inheritable=True)
    os.close(OUTPUT)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0, inheritable=True)
    os.close(null)
    os.set_inheritable(SESSION, False)
    return connection, SESSION, partial(say_last_words, connection.fileno())


def _open_memory() -> BinaryIO:
    """Return a file that has no name."""
    try:
        return open(memfd_create("easycluster-bundle"), "w+b")
    except OSError:  # this system has no such files
        from tempfile import TemporaryFile

        return TemporaryFile()
