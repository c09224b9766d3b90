"""The owner's side of spare interpreters, of which each becomes the worker of one connection.

A fresh interpreter takes a second to start and to import what a worker needs, so one waits ahead of the
next connection. It gets a copy of the connection's socket and the worker's configuration through its
standard input, see `spare`.
"""

from __future__ import annotations

import msvcrt
import os
import pickle
import socket
import struct
import subprocess
import sys
import threading
import weakref
from collections import deque
from typing import Any, Deque, Dict, List, Mapping, Optional, Tuple

from easycluster_server._system.package_folders import find_package_folders

from .guard import CLOSE_GRACE, REPORT_GRACE, Guard, Watcher
from .jobs import Job

_SIZE = struct.Struct("<I")

#: How often a worker is tried to be started: a spare interpreter may have been ended while it waited.
_TRIES = 3


class Spare:
    """An interpreter that waits for a connection.

    Args:
        offers_tls: whether it may have to encrypt.

    Attributes:
        process: the interpreter.
        job: its job.
        control: the pipe on which it will speak to its guard: the reading end, and a copy of the writing end.

    Raises:
        OSError: it cannot be started.
    """

    def __init__(self, offers_tls: bool = False) -> None:
        self.control = reading, writing = os.pipe()
        try:
            handle = msvcrt.get_osfhandle(writing)
            os.set_handle_inheritable(handle, True)
            try:
                self.process = _start(handle, offers_tls)
            finally:
                os.set_handle_inheritable(handle, False)
            try:
                self.job = Job(self.process.pid)
            except BaseException:
                self.process.kill()
                self.process.wait()
                raise
        except BaseException:
            os.close(reading)
            os.close(writing)
            raise

    def hand_over(self, link: socket.socket, config: Mapping[str, Any]) -> None:
        """Give it a connection.

        Raises:
            OSError: it has ended.
        """
        request = pickle.dumps((link.share(self.process.pid), config))
        assert self.process.stdin is not None
        with self.process.stdin as stdin:
            stdin.write(_SIZE.pack(len(request)) + request)

    def end(self) -> None:
        """End it."""
        self.job.terminate()
        self.job.close()
        for descriptor in self.control:
            os.close(descriptor)
        if self.process.stdin is not None and not self.process.stdin.closed:
            try:
                self.process.stdin.close()
            except OSError:  # what was written to it is lost with it
                pass
        self.process.wait()


_starters: weakref.WeakSet[SpareInterpreters] = weakref.WeakSet()


class SpareInterpreters:
    """Starts workers. Any number of threads may use it.

    After the first worker, and after `prepare`, interpreters wait ahead of the next.

    Args:
        most: the most connections; it has to be None.
        offers_tls: whether workers may have to encrypt.

    Attributes:
        code_objection: why it cannot start a worker that runs the client's code.
        ahead: how many interpreters wait. Each takes 35 MB, and connections that come at once find theirs
            started at once, so more than one are for connections that follow each other closely.

    Raises:
        ValueError: the number of connections is to be limited.
    """

    # Nothing can take the place of a process there: a spare interpreter would have to start another one, give
    # it the connection, and let its guard know.
    code_objection = "on Windows it cannot run the client's code"
    ahead = 1

    #: Whether a guard can be asked how its worker is.
    answers_questions = False

    def __init__(self, most: Optional[int] = None, offers_tls: bool = False) -> None:
        if most is not None:
            raise ValueError(
                f"max_connections={most} (--max-connections) is not possible on Windows: leave it out"
            )
        self._offers_tls = offers_tls
        self._lock = threading.Lock()
        #: The one that has waited longest has imported most: it is the next.
        self._spares: Deque[Spare] = deque()
        self._is_refilling = False
        self._is_closed = False
        self._watcher = Watcher()
        _starters.add(self)

    def prepare(self) -> None:
        """Start interpreters ahead of the next workers, in a thread."""
        with self._lock:
            if len(self._spares) < self.ahead and not self._is_refilling:
                self._is_refilling = True
                threading.Thread(target=self._refill, name="easycluster-spare", daemon=True).start()

    def _refill(self) -> None:
        is_refilling = True
        while is_refilling:
            spare: Optional[Spare] = None
            try:
                spare = Spare(self._offers_tls)
            except OSError:  # the next worker tries it again, and tells
                pass
            with self._lock:
                is_failed = spare is None
                if spare is not None and not self._is_closed:
                    self._spares.append(spare)
                    spare = None
                is_refilling = not (is_failed or self._is_closed) and len(self._spares) < self.ahead
                self._is_refilling = is_refilling
            if spare is not None:
                spare.end()

    def spawn(
        self,
        link: socket.socket,
        config: Mapping[str, Any],
        words: Optional[Tuple[socket.socket, socket.socket]] = None,
        questions: Optional[socket.socket] = None,
    ) -> None:
        """Start a worker for a connection.

        Args:
            link: the connection; the caller closes its own copy afterwards.
            config: the worker's configuration.
            words: two connected sockets: on the first one the guard says how a worker ended that could not
                speak. None: it says that on the connection, which has to be a keyed one.
            questions: None: a guard is not asked, see `answers_questions`.

        Raises:
            OSError: no interpreter can be started.
        """
        assert questions is None
        with self._lock:
            self._is_closed = False
        for left in reversed(range(_TRIES)):
            spare = self._take_spare()
            try:
                spare.hand_over(link, config)
                break
            except OSError:
                spare.end()
                if not left:
                    raise
        guard = Guard(
            spare.process,
            spare.job,
            spare.control,
            link.dup(),
            words[1].dup() if words else link.dup(),
            config.get("peer", ""),
            self._watcher.discard,
        )
        self._watcher.add(guard)
        guard.start()
        self.prepare()

    def _take_spare(self) -> Spare:
        while True:
            with self._lock:
                if not self._spares:
                    break
                spare = self._spares.popleft()
            if spare.process.poll() is None:
                return spare
            spare.end()
        return Spare(self._offers_tls)

    def wait_for_workers(self) -> None:
        """Wait until the workers have ended whose connections are closed."""
        self._watcher.wait_for_all(CLOSE_GRACE)

    def abandon(self) -> None:
        """Do nothing: there are no forks here."""

    def close(self) -> None:
        """End the spare interpreters and the workers."""
        with self._lock:
            self._is_closed = True
            spares, self._spares = self._spares, deque()
        for spare in spares:
            spare.end()
        self._watcher.end_all(REPORT_GRACE)


def wait_for_workers() -> None:
    """Wait until the workers have ended whose connections were closed: they would end with this process."""
    for starter in list(_starters):
        starter.wait_for_workers()


def _start(control: int, offers_tls: bool) -> subprocess.Popen[bytes]:
    """Start an interpreter.

    Args:
        control: an inheritable handle that it gets, beside standard output and error.
        offers_tls: see `Spare`.
    """
    load = "load_with_tls" if offers_tls else "load"
    code = (
        "import sys; path = sys.path[:]; sys.path[:0] = sys.argv[2:]; "
        "from easycluster_server._processes import ahead, worker; "
        "from easycluster_server._system.windows.spare import main; "
        "sys.path[:] = path + [each for each in sys.argv[2:] if each not in path]; "
        f"main(int(sys.argv[1]), ahead.{load}, ahead.warm_up, worker.serve_connection)"
    )
    executable, environ = _find_interpreter()
    startup = subprocess.STARTUPINFO()
    startup.lpAttributeList = {"handle_list": [control]}
    arguments: List[str] = [executable, "-c", code, str(control), *find_package_folders()]
    return subprocess.Popen(
        arguments,
        env=environ,
        stdin=subprocess.PIPE,
        bufsize=0,
        startupinfo=startup,
        # Ctrl-C and Ctrl-Break are for the owner.
        creationflags=subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP,
    )


def _find_interpreter() -> Tuple[str, Optional[Dict[str, str]]]:
    """Return the interpreter to start, and its environment; None: that of this process.

    In a virtual environment ``sys.executable`` only starts the interpreter, which then has another process
    id: a socket cannot be shared with that one, nor would the job hold it for certain.
    """
    base: str = getattr(sys, "_base_executable", None) or sys.executable
    if os.path.normcase(base) == os.path.normcase(sys.executable):
        return sys.executable, None
    return base, {**os.environ, "__PYVENV_LAUNCHER__": sys.executable}
