"""The owner's side of a fork server: it starts a guardian and a worker for each connection."""

from __future__ import annotations

import array
import contextlib
import os
import pickle
import socket
import subprocess
import sys
import threading
from typing import Any, List, Mapping, Optional, Tuple

from easycluster_server._system.package_folders import find_package_folders

from .descriptors import with_old_limit
from .socket_pairs import make_socket_pair

_SERVE, _UPGRADE, _GUARDED_UPGRADE = b"f", b"u", b"g"  # as in `fork_server`
_CONFIG_SIZE = 8


class ForkServer:
    """The owner's side of a fork server. It is started when it is first needed.

    Any number of threads may use it. A process that was forked from the owner gets one of its own.

    Args:
        most: the most connections that may have a process at the same time; None: any number.
        offers_tls: whether workers may have to encrypt.
    """

    #: Why it cannot start a worker that runs the client's code; "": it can.
    code_objection = ""

    #: Whether a guardian can be asked how its worker is.
    answers_questions = True

    def __init__(self, most: Optional[int] = None, offers_tls: bool = False) -> None:
        self._most = most
        self._offers_tls = offers_tls
        self._lock = threading.Lock()
        self._control: Optional[socket.socket] = None
        self._process: Optional[subprocess.Popen[bytes]] = None

    def prepare(self) -> None:
        """Do nothing: a fork server is started with the first worker, and is quick then."""

    def spawn(
        self,
        link: socket.socket,
        config: Mapping[str, Any],
        words: Optional[Tuple[socket.socket, socket.socket]] = None,
        questions: Optional[socket.socket] = None,
    ) -> None:
        """Start guardian and worker for a connection.

        Args:
            link: the connection; the caller closes its own copy afterwards.
            config: the worker's configuration.
            words: two connected sockets: on the first one the guardian is asked, and says how a worker
                ended that could not speak; the second one is closed. None: it says that on the connection,
                which has to be a keyed one.
            questions: without ``words``, a socket on which the guardian is asked; the caller closes its copy.

        Raises:
            OSError: the fork server cannot be started. If it fails afterwards, the client is told on the
                connection, or sees its end.
        """
        if words is not None:
            ours, theirs = words
            with contextlib.suppress(BrokenPipeError):
                with theirs, self._lock:
                    self._request(link.fileno(), theirs.fileno(), theirs.fileno())
                ours.setblocking(True)
                packed = pickle.dumps(config)
                ours.sendall(len(packed).to_bytes(_CONFIG_SIZE, "big") + packed)
            return
        request = _SERVE
        if config.get("code_key"):
            request = _GUARDED_UPGRADE if config.get("changes_user") else _UPGRADE
        reading, writing = os.pipe()
        with contextlib.suppress(BrokenPipeError), open(writing, "wb") as file:
            try:
                with open(os.devnull, "rb") as nobody, self._lock:
                    asked = (questions or nobody).fileno()
                    self._request(link.fileno(), reading, asked, request)
            finally:
                os.close(reading)  # or we would write for ever when the fork server dies now
            file.write(pickle.dumps(config))

    def _request(self, link: int, config: int, questions: int, request: bytes = _SERVE) -> None:
        descriptors = array.array("i", [link, config, questions, 1, 2])
        message = [request], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, descriptors)]
        if self._process is None or self._process.poll() is not None:
            self._start()
        try:
            self._get_control().sendmsg(*message)
        except (BrokenPipeError, ConnectionResetError):  # it has just died
            self._start()
            self._get_control().sendmsg(*message)

    def _get_control(self) -> socket.socket:
        assert self._control is not None
        return self._control

    def _start(self) -> None:
        if self._control is not None:
            self._control.close()
        self._control, theirs = make_socket_pair()
        code, arguments = _make_command(theirs.fileno(), self._most, self._offers_tls)
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


def _make_command(descriptor: int, most: Optional[int], offers_tls: bool) -> Tuple[str, List[str]]:
    load = "load_with_tls" if offers_tls else "load"
    code = (
        "import sys; path = sys.path[:]; sys.path[:0] = sys.argv[2:]; "
        "from easycluster_server._processes import ahead, upgrade, worker; "
        "from easycluster_server._system.posix.fork_server import main; "
        "sys.path[:] = path + [each for each in sys.argv[2:] if each not in path]; "
        f"main(int(sys.argv[1]), ahead.{load}, ahead.warm_up, worker.serve_connection, "
        f"upgrade.become_clients_code, {most})"
    )
    return code, [str(descriptor), *find_package_folders()]


def wait_for_workers() -> None:
    """Do nothing: guardians are processes of their own, and outlive this one."""
