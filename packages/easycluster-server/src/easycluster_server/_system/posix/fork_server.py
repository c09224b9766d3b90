"""The fork server: a warm process from which guardians and workers are forked.

It is a fresh interpreter that has imported the modules of a worker and has done nothing else: it never holds
a key, or a listening socket, or a connection for longer than a fork takes. Its only input is a socket of its
owner. Each message there is one byte, as `SERVE`, and beside it the descriptors of the connection,
of a pipe or socket from which the worker reads its configuration, of a socket on which the guardian is asked,
and of the worker's standard output and error. If the configuration comes through a socket, the last words of
the guardian go back through it; else they go through the connection. The
fork server ends when its owner does, and its workers end with it.
"""

from __future__ import annotations

import array
import errno
import os
import pickle
import signal
import socket
import stat
import time
from functools import partial
from importlib import import_module
from itertools import starmap
from typing import TYPE_CHECKING, Any, Callable, List, Optional, Set, Tuple

from easycluster_server._system.output import standard_error
from easycluster_server._system.refusal import refuse
from easycluster_server._system.this_process import report

from .last_words import say_last_words
from .processes import move_up, run_guardian_and_worker
from .transport import SocketTransport, wait

if TYPE_CHECKING:
    from easycluster_server._system.transport_types import Transport

    #: Serves a connection as `easycluster_server._processes.worker.serve_connection` does.
    Serve = Callable[[Callable[[], Any], Transport], int]

    #: Becomes other code as `easycluster_server._processes.upgrade.become_clients_code` does.
    Upgrade = Callable[[Any, socket.socket], int]

#: The requests: fork a guardian and a worker; fork a process that becomes code of the client; fork one that
#: becomes another user before, so with a guardian over it.
SERVE, UPGRADE, GUARDED_UPGRADE = b"f", b"u", b"g"

#: In the fork server: the guardians that it has not reaped.
_guardians: Set[int] = set()

#: In the fork server: a descriptor that is given up while a request is received.
_spare: List[int] = []

_DESCRIPTORS_PER_REQUEST = 5

#: Ahead of a configuration that comes on a socket stands its length, in so many bytes.
CONFIG_SIZE = 8

#: Seconds without a request after which there is time to import more.
_WARM_UP_DELAY = 0.05

#: Seconds that a connection waits for the end of another one when there are as many as there may be, and
#: between two looks.
_PATIENCE_FOR_ROOM = 0.5
_POLL_INTERVAL = 0.01


def main(
    control_descriptor: int,
    load: Callable[[], None],
    warm_up: Callable[[], None],
    serve: Serve,
    upgrade: Upgrade,
    most: Optional[int] = None,
) -> None:
    """Run the fork server on the socket with this descriptor; does not return.

    Args:
        control_descriptor: the descriptor.
        load: imports what every worker needs.
        warm_up: called while there are no requests: the first connection does not wait for modules that only
            definitions need, and later ones find them here.
        serve: serves a connection, in a worker.
        upgrade: puts the client's code in the place of the process, or returns its status.
        most: the most connections at the same time; None: any number.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the owner
    signal.signal(signal.SIGCHLD, _reap_guardians)
    control = socket.socket(fileno=control_descriptor)
    load()
    for name in ("guardian", "questions"):
        import_module(f"{__package__}.{name}")
    while wait(control_descriptor, -1, _WARM_UP_DELAY)[0]:
        _serve_request(control, serve, upgrade, most)
    warm_up()
    while True:
        _serve_request(control, serve, upgrade, most)


def _serve_request(control: socket.socket, serve: Serve, upgrade: Upgrade, most: Optional[int]) -> None:
    """Wait for a request, and fork; does not return when the owner is gone, or stops."""
    # Out of descriptors, the kernel delivers as many as there is room for: at least one, which leads to the
    # client.
    while _spare:
        os.close(_spare.pop())
    request, descriptors = _receive_request(control)
    if not request:
        _end_sessions()
        os._exit(0)
    try:
        if len(descriptors) < _DESCRIPTORS_PER_REQUEST:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        if most is not None:
            _wait_for_room(most)
        # One C call: the signal that a guardian has ended cannot come between forking and noting it.
        _guardians.update(starmap(os.fork, [()]))
    except OSError as error:
        for link in descriptors[:1]:
            refuse(link, error)
    if 0 in _guardians:
        control.close()
        _begin_connection(
            descriptors, serve, None if request == SERVE else upgrade, request == GUARDED_UPGRADE
        )
    for descriptor in descriptors:
        os.close(descriptor)
    try:
        _spare.append(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        pass


def _wait_for_room(most: int) -> None:
    """Return once there is room for one more connection: one that was closed just now is on its way out.

    Raises:
        OSError: there is none.
    """
    deadline = time.monotonic() + _PATIENCE_FOR_ROOM
    while len(_guardians) >= most:
        if time.monotonic() > deadline:
            plural = "" if most == 1 else "s"
            text = f"the server has {most} connection{plural}, as many as it may (--max-connections)"
            standard_error.say(f"a connection was refused: {text}")
            raise OSError(text)
        time.sleep(_POLL_INTERVAL)  # the handler of SIGCHLD runs meanwhile


def _reap_guardians(*_: object) -> None:
    """Reap the guardians that have ended."""
    try:
        while True:
            pid, _status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            _guardians.discard(pid)
    except ChildProcessError:
        pass


def _end_sessions() -> None:
    """Let every guardian end its worker: the owner is gone, or stops."""
    # From here on the ids that are noted stay those of guardians.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for pid in _guardians:
        os.kill(pid, signal.SIGTERM)


def _receive_request(control: socket.socket) -> Tuple[bytes, List[int]]:
    """Return a request, and its descriptors; an empty one when the owner is gone."""
    size = array.array("i").itemsize
    try:
        data, ancillary, _, _ = control.recvmsg(1, socket.CMSG_SPACE(_DESCRIPTORS_PER_REQUEST * size))
    except OSError:
        return b"", []
    received = array.array("i")
    for level, kind, payload in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            received.frombytes(payload[: len(payload) - len(payload) % size])
    for descriptor in received:
        os.set_inheritable(descriptor, False)
    return data, list(received)


def _begin_connection(
    descriptors: List[int], serve: Serve, upgrade: Optional[Upgrade], is_guarded: bool
) -> None:
    """Become a guardian, or the client's code; does not return."""
    link, config, questions, out, error = descriptors
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    for descriptor, standard in ((out, 1), (error, 2)):
        os.dup2(descriptor, standard, inheritable=True)
        os.close(descriptor)

    # A pipe brings the session's keys, which the worker alone is to know.
    is_pipe = not stat.S_ISSOCK(os.fstat(config).st_mode)
    packed = b"" if is_pipe else _read_packed(config)

    def read_config() -> Any:
        if not is_pipe:
            os.close(config)  # it is the guardian's
            return pickle.loads(packed)
        with open(config, "rb") as file:
            return pickle.loads(file.read())

    connection = socket.socket(fileno=move_up(link))
    if upgrade is not None:
        os.close(questions)  # so the listener knows that nobody answers them
        _become_clients_code(upgrade, read_config, connection, config if is_guarded else None)
    words = connection.fileno() if is_pipe else config
    run_guardian_and_worker(
        SocketTransport(connection),
        partial(serve, read_config),
        (config,) if is_pipe else (),
        partial(say_last_words, words),
        questions,
    )


def _read_packed(descriptor: int) -> bytes:
    """Read the configuration from a socket on which questions for the guardian come later."""
    with open(descriptor, "rb", buffering=0, closefd=False) as file:
        size = int.from_bytes(file.read(CONFIG_SIZE) or b"", "big")
        packed = b""
        while len(packed) < size:
            piece = file.read(size - len(packed))
            if not piece:  # the owner has left
                os._exit(1)
            packed += piece
    return packed


def _become_clients_code(
    upgrade: Upgrade, read_config: Callable[[], Any], connection: socket.socket, guarded: Optional[int]
) -> None:
    # With the descriptor of the configuration in `guarded`: under a guardian, which closes that.
    status = 1
    try:
        if guarded is not None:
            _fork_from_guardian(connection, guarded)
        status = upgrade(read_config(), connection)
    except BaseException as error:
        report(error)
    finally:
        os._exit(status)


def _fork_from_guardian(connection: socket.socket, config: int) -> None:
    from .outer_guardian import fork_from_guardian

    try:
        fork_from_guardian(SocketTransport(connection), config, partial(say_last_words, connection.fileno()))
    except OSError as error:
        refuse(connection.fileno(), error)
        raise
