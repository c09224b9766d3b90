"""The three processes of a connection: how keeper, guardian and worker are made.

`run_guardian_and_worker` forks: the calling process becomes the keeper, its child the guardian, and the child
of that the worker. None of them returns.
"""

from __future__ import annotations

import _socket
import os
import stat
import sys
from os import _exit  # remote code may put something else in the place of `os._exit`
from typing import TYPE_CHECKING, Callable, Iterable, Sequence

from easycluster_server._system import control
from easycluster_server._system.output import standard_error
from easycluster_server._system.refusal import refuse
from easycluster_server._system.this_process import report

from .keeper import fork_from_keeper
from .libc import become_subreaper, die_with_parent
from .transport import PipeTransport, SocketTransport, wait

if TYPE_CHECKING:
    from easycluster_server._system.transport_types import Transport

#: Head start in seconds: the guardian compiles its own modules only after this.
_HEAD_START = 0.1


def run_guardian_and_worker(
    transport: Transport,
    serve: Callable[[Transport], int],
    worker_descriptors: Iterable[int],
    tell: Callable[[str], object] = str,
    questions: int = -1,
    relays: bool = False,
    looks: Sequence[bytes] = (),
) -> None:
    """Become the keeper of the guardian of a new worker that serves ``transport``; does not return.

    Args:
        transport: the connection.
        serve: called in the worker, which alone is to know the session's keys; returns the status of the
            process.
        worker_descriptors: descriptors that the guardian must not hold; they are closed in it.
        tell: called in the guardian, see `Guardian`.
        questions: the descriptor of the socket on which the client asks the guardian, or -1.
        relays: whether the guardian prints what the worker prints, see `OutputRelay`. Standard output and
            error of this process are one.
        looks: see `Guardian`.
    """
    status = 1
    try:
        standard_error.pin()
        try:
            notes = fork_from_keeper()
            become_subreaper()
            guardian = os.getpid()
            (reading, writing), wakeup = os.pipe(), os.pipe()
            output = os.pipe() if relays else (-1, -1)
            worker = os.fork()
        except OSError as error:
            refuse(transport.write_fileno(), error)
            return
        if worker == 0:
            _close(notes, reading, *wakeup, output[0], questions)
            if relays:
                _print_to(output[1])
            die_with_parent(guardian)
            control.set_control(move_up(writing))
            os.setsid()
            status = serve(transport)
        else:
            _close(writing, output[1], *worker_descriptors)
            if f"{__package__}.guardian" not in sys.modules:  # over ssh it has to be compiled
                # The worker has more to compile, and the client waits for that. When the worker ends, so does
                # this wait.
                wait(reading, -1, _HEAD_START)
            from .guardian import Guardian

            Guardian(worker, transport, reading, wakeup, tell, questions, notes, output[0], looks).watch()
            status = 0
    except BaseException as error:
        report(error)
    finally:
        _exit(status)


def _close(*descriptors: int) -> None:
    for descriptor in descriptors:
        if descriptor >= 0:
            os.close(descriptor)


def _print_to(descriptor: int) -> None:
    for standard in (1, 2):
        os.dup2(descriptor, standard, inheritable=True)
    os.close(descriptor)
    standard_error.pin()


def move_up(descriptor: int) -> int:
    """Give a descriptor a high number; return that number.

    Remote code may close descriptors that are not its own. The files that it opens then get the lowest free
    numbers, and not this one, to which we may still write.
    """
    import fcntl  # most processes have no use for it

    try:
        moved: int = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, min(os.sysconf("SC_OPEN_MAX"), 1024) - 16)
    except (OSError, ValueError):  # fewer descriptors are allowed, or none is left
        return descriptor
    os.close(descriptor)
    return moved


def take_over() -> Transport:
    """Move the connection on standard input and output to descriptors of its own; return its transport."""
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
