"""The fork server: a warm process from which guardians and workers are forked.

It is a fresh interpreter that has imported the modules of a worker and has done nothing else: it never holds
a key, or a listening socket, or a connection for longer than a fork takes. Its only input is a socket of its
owner. Each message there is one byte, and beside it the descriptors of the connection, of a pipe or socket
from which the worker reads its configuration, and of the worker's standard output and error. If it is a
socket, the last words of the guardian go back through it, else through the connection. The fork server ends
when its owner does, and its workers end with it.
"""

from __future__ import annotations

import array
import contextlib
import errno
import os
import pickle
import signal
import socket
import stat
import subprocess
import sys
import threading
from importlib import import_module
from itertools import starmap
from typing import TYPE_CHECKING, List, Optional, Set, Tuple

from easycluster_protocol._wire.last_words import pack_last_words
from easycluster_server._io.socket_pairs import make_socket_pair
from easycluster_server._io.transport import SocketTransport, wait
from easycluster_server._system.descriptors import with_old_limit
from easycluster_server._system.this_process import move_up

from .worker import refuse, run_guardian_and_worker

if TYPE_CHECKING:
    from .worker import Config

#: Modules that workers import when they need them; they find them here, imported already.
_WORKER_MODULES = (
    "easycluster_protocol._wire.authenticator",
    "easycluster_protocol._wire.link",
    "easycluster_protocol._handshake.server",
    "easycluster_protocol._wire.streams",
    "easycluster_protocol._values.plain_failures",
    "easycluster_server._serving.calls",
    "easycluster_server._processes.guardian",
    "easycluster_server._io.handshake",
    "easycluster_server._serving.threads",
    "easycluster_server._serving.session",
    "easycluster_server._serving.sent_modules",
)

#: In the fork server: the guardians that it has not reaped.
_guardians: Set[int] = set()

#: In the fork server: a descriptor that is given up while a request is received.
_spare: List[int] = []

_REQUEST = b"f"
_DESCRIPTORS_PER_REQUEST = 4

#: Seconds without a request after which there is time to import more.
_WARM_UP_DELAY = 0.05


def main(control_descriptor: int) -> None:
    """Run the fork server on the socket with this descriptor; does not return."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the owner
    signal.signal(signal.SIGCHLD, _reap_guardians)
    control = socket.socket(fileno=control_descriptor)
    for name in _WORKER_MODULES:
        import_module(name)
    # The first connection does not wait for modules that only definitions need; later ones find them here.
    while wait(control_descriptor, -1, _WARM_UP_DELAY)[0]:
        _serve_request(control)
    _warm_up()
    while True:
        _serve_request(control)


def _serve_request(control: socket.socket) -> None:
    """Wait for a request, and fork; does not return when the owner is gone, or stops."""
    # Out of descriptors, the kernel delivers as many as there is room for: at least one, which leads to the
    # client.
    while _spare:
        os.close(_spare.pop())
    descriptors = _receive_descriptors(control)
    if descriptors is None:
        _end_sessions()
        os._exit(0)
    try:
        if len(descriptors) < _DESCRIPTORS_PER_REQUEST:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        # One C call: the signal that a guardian has ended cannot come between forking and noting it.
        _guardians.update(starmap(os.fork, [()]))
    except OSError as error:
        for link in descriptors[:1]:
            refuse(link, error)
    if 0 in _guardians:
        control.close()
        _become_guardian(descriptors)
    for descriptor in descriptors:
        os.close(descriptor)
    try:
        _spare.append(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        pass


def _warm_up() -> None:
    """Import the modules that server objects, exceptions and definitions modules take.

    If that fails, as for want of descriptors, each worker tries again for itself.
    """
    try:
        import_module("easycluster_server._objects")
        import_module("easycluster_protocol._values.failures")
        import_module("easycluster_server._serving.logged_calls")
        easycluster = import_module("easycluster")
        for name in easycluster.__all__:
            getattr(easycluster, name)
    except (ImportError, OSError):
        pass


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


def _receive_descriptors(control: socket.socket) -> Optional[List[int]]:
    size = array.array("i").itemsize
    try:
        data, ancillary, _, _ = control.recvmsg(1, socket.CMSG_SPACE(_DESCRIPTORS_PER_REQUEST * size))
    except OSError:
        return None
    received = array.array("i")
    for level, kind, payload in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            received.frombytes(payload[: len(payload) - len(payload) % size])
    if not data:
        return None
    for descriptor in received:
        os.set_inheritable(descriptor, False)
    return list(received)


def _become_guardian(descriptors: List[int]) -> None:
    link, config, out, error = descriptors
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    for descriptor, standard in ((out, 1), (error, 2)):
        os.dup2(descriptor, standard, inheritable=True)
        os.close(descriptor)

    def read_config() -> Config:
        with open(config, "rb") as file:
            loaded: Config = pickle.loads(file.read())
        return loaded

    connection = socket.socket(fileno=move_up(link))
    # A pipe brings the session's keys, which the worker alone is to know.
    is_pipe = not stat.S_ISSOCK(os.fstat(config).st_mode)
    words = connection.fileno() if is_pipe else config

    def tell(end: str) -> None:
        try:
            if wait(-1, words, 0)[1]:  # a socket with room takes so few bytes at once
                os.write(words, pack_last_words(end))
        except OSError:  # the client has left
            pass

    run_guardian_and_worker(SocketTransport(connection), read_config, (config,) if is_pipe else (), tell)


class ForkServer:
    """The owner's side of a fork server. It is started when it is first needed.

    Any number of threads may use it. A process that was forked from the owner gets one of its own.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._control: Optional[socket.socket] = None
        self._process: Optional[subprocess.Popen[bytes]] = None

    def spawn(
        self, link: socket.socket, config: Config, words: Optional[Tuple[socket.socket, socket.socket]] = None
    ) -> None:
        """Start guardian and worker for a connection.

        Args:
            link: the connection; the caller closes its own copy afterwards.
            config: the worker's configuration.
            words: two connected sockets: on the first one the guardian says how a worker ended that could
                not speak; the second one is closed. None: it says that on the connection, which has to be a
                keyed one.

        Raises:
            OSError: the fork server cannot be started. If it fails afterwards, the client is told on the
                connection, or sees its end.
        """
        if words is not None:
            ours, theirs = words
            with contextlib.suppress(BrokenPipeError):
                with theirs, self._lock:
                    self._request(link.fileno(), theirs.fileno())
                ours.setblocking(True)
                ours.sendall(pickle.dumps(config))
                ours.shutdown(socket.SHUT_WR)
            return
        reading, writing = os.pipe()
        with contextlib.suppress(BrokenPipeError), open(writing, "wb") as file:
            try:
                with self._lock:
                    self._request(link.fileno(), reading)
            finally:
                os.close(reading)  # or we would write for ever when the fork server dies now
            file.write(pickle.dumps(config))

    def _request(self, link: int, config: int) -> None:
        descriptors = array.array("i", [link, config, 1, 2])
        request = [_REQUEST], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, descriptors)]
        if self._process is None or self._process.poll() is not None:
            self._start()
        try:
            self._get_control().sendmsg(*request)
        except (BrokenPipeError, ConnectionResetError):  # it has just died
            self._start()
            self._get_control().sendmsg(*request)

    def _get_control(self) -> socket.socket:
        assert self._control is not None
        return self._control

    def _start(self) -> None:
        if self._control is not None:
            self._control.close()
        self._control, theirs = make_socket_pair()
        code, arguments = _make_command(theirs.fileno())
        with theirs:
            try:
                self._process = subprocess.Popen(
                    with_old_limit([sys.executable, "-c", code, *arguments]),
                    stdin=subprocess.DEVNULL,
                    pass_fds=[theirs.fileno()],
                    start_new_session=True,
                )
            except BaseException:
                self._control.close()
                self._control = self._process = None
                raise

    def abandon(self) -> None:
        """Leave the fork server to the process from which this one was forked."""
        self._lock = threading.Lock()
        if self._process is not None:
            self._process.returncode = 0  # it is no child of this process, which need not wait for it
            self._process = None
        if self._control is not None:
            # Or the fork server would not notice the end of its owner.
            self._control.close()
            self._control = None

    def close(self) -> None:
        """End the fork server and the workers it made."""
        with self._lock:
            control, process, self._control, self._process = self._control, self._process, None, None
            if control is not None:
                control.close()
            if process is not None:
                process.wait()


def _make_command(descriptor: int) -> Tuple[str, List[str]]:
    code = (
        "import sys; path = sys.path[:]; sys.path[:0] = sys.argv[2:]; "
        "from easycluster_server._processes.fork_server import main; "
        "sys.path[:] = path + [each for each in sys.argv[2:] if each not in path]; main(int(sys.argv[1]))"
    )
    return code, [str(descriptor), *_find_package_folders()]


def _find_package_folders() -> List[str]:
    """Return the folders, or zip files, that hold our packages: a new interpreter may not look there."""
    folders: List[str] = []
    for name in ("easycluster_server", "easycluster_protocol", "easycluster", "easycluster_client"):
        file = getattr(sys.modules.get(name), "__file__", None)  # the client may not be installed
        if file:
            folder = os.path.dirname(os.path.dirname(os.path.abspath(file)))
            if folder not in folders:
                folders.append(folder)
    return folders


def describe_environment() -> Config:
    """Return the part of a worker's configuration that makes it a child of this process: the environment,
    the working folder, the umask and the module path."""
    # The script may have put our folder on its path for the import alone.
    path = [*sys.path, *(each for each in _find_package_folders() if each not in sys.path)]
    config: Config = {"environ": dict(os.environ), "path": path, "argv": [""]}
    try:
        config["cwd"] = os.getcwd()
    except OSError:  # it was removed
        pass
    umask = _read_umask()
    if umask is not None:
        config["umask"] = umask
    return config


def _read_umask() -> Optional[int]:
    """Return the umask, or None. ``os.umask`` would change it for a moment, for all threads."""
    try:
        with open("/proc/self/status") as file:
            for line in file:
                if line.startswith("Umask:"):
                    return int(line.split()[1], 8)
    except OSError:
        pass
    try:  # a shell inherits it
        return int(subprocess.check_output(["/bin/sh", "-c", "umask"]), 8)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None


fork_server = ForkServer()
if hasattr(os, "register_at_fork"):  # novm
    os.register_at_fork(after_in_child=fork_server.abandon)
