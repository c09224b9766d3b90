"""The guard of a worker: a thread of the owner that sees the worker and the link go, and ends what must go.

What ends when::

    the client closed the connection    the worker, and everything that it started
    the link or the master was lost,    the same
    or the worker died
    the owner ends                      the same, and at once: nobody but the owner holds the job

A process that was given to `detach` stays, except when the owner is killed.

A worker that holds the interpreter's lock in C code reads nothing, so it cannot see the end of its
connection. The watcher, one thread for all guards of an owner, looks at the connections in its place.
"""

from __future__ import annotations

import os
import select
import socket
import subprocess
import threading
import time
from typing import Callable, Optional, Set, Tuple

from easycluster_protocol._wire.last_words import pack_last_words
from easycluster_server._system.control import CLOSED
from easycluster_server._system.output import standard_error

from .jobs import Job
from .process_handles import end_processes, with_descendants
from .system_calls import host_name
from .tcp_states import has_ended

#: Seconds that the worker has to say how the connection ended, once the watcher sees the end.
REPORT_GRACE = 2.0

#: Seconds that a worker has to end by itself when its client has closed the connection: its call has been
#: interrupted, and its ``finally`` blocks and ``atexit`` functions run.
CLOSE_GRACE = 3.0

#: Seconds that a worker has to end by itself when the connection was lost, or when it speaks no more.
LOSS_GRACE = 0.5

#: Seconds between two looks of the watcher. A computer may have many connections, and to find one of them is
#: slow then: it waits several times as long as its last look took, up to a limit.
_INTERVAL = 0.5
_SHARE = 5
_LONGEST_INTERVAL = 3.0


class Guard:
    """Watches over one worker.

    Args:
        process: the worker.
        job: the worker's job.
        control: the pipe on which the worker says how the connection ended (a line: `CLOSED` or `LOST`) and
            which processes to spare (a line each: the process id). Its reading end, and a copy of its writing
            end.
        link: a copy of the worker's socket, which is closed at the end.
        words: where to say how a worker ended that could not speak.
        peer: where the connection comes from, or nothing.
        on_end: called with this guard when everything has gone.
    """

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        job: Job,
        control: Tuple[int, int],
        link: socket.socket,
        words: socket.socket,
        peer: str,
        on_end: Callable[[Guard], object],
    ) -> None:
        self._process = process
        self._job = job
        self._control, self._writing = control
        self._link = link
        self._words = words
        self._name = f"the process {process.pid} on {host_name()}" + (
            f" for the connection from {peer}" if peer else ""
        )
        self._on_end = on_end
        self._spared: Set[int] = set()
        #: The end of the worker's time to speak; None while the connection lasts.
        self._deadline: Optional[float] = None
        self._thread = threading.Thread(target=self._run, name="easycluster-guard", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()
        threading.Thread(target=self._wait_for_process, name="easycluster-waiter", daemon=True).start()

    def note_end(self) -> None:
        """Give the worker its last time to speak: the connection has ended, or is to end now."""
        if self._deadline is None:
            self._deadline = time.monotonic() + REPORT_GRACE

    def look(self) -> None:
        """Look whether the connection has ended, and end a worker that has not noticed that in time."""
        if self._deadline is None:
            try:
                if has_ended(self._link):
                    self.note_end()
            except (OSError, ValueError):  # it is being closed
                pass
        elif time.monotonic() >= self._deadline:
            self._job.terminate()

    def hang_up(self) -> None:
        """End the connection: the owner stops. The worker still receives the bytes that have come."""
        self.note_end()
        try:
            self._link.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def wait_for_end(self, seconds: float) -> None:
        """Wait until everything has gone, and end it if that takes too long."""
        self._thread.join(seconds)
        if self._thread.is_alive():
            self._job.terminate()
            self._thread.join(LOSS_GRACE)

    def _run(self) -> None:
        try:
            outcome = self._read_control()
            self._wait(CLOSE_GRACE if outcome == CLOSED else LOSS_GRACE)
            if outcome is None and self._deadline is None:
                self._say_how_it_ended()
            self._end_everything()
        finally:
            os.close(self._control)
            self._words.close()
            self._link.close()
            self._on_end(self)

    def _wait_for_process(self) -> None:
        """Write an empty line once the worker has ended: its children may keep the pipe open."""
        self._process.wait()
        try:
            os.write(self._writing, b"\n")
        except OSError:  # the guard has ended already
            pass
        os.close(self._writing)

    def _read_control(self) -> Optional[str]:
        """Return how the connection ended, or None if the worker ends without saying that."""
        pending = b""
        while True:
            try:
                data = os.read(self._control, 4096)
            except OSError:
                return None
            if not data:
                return None
            *lines, pending = (pending + data).split(b"\n")
            for line in lines:
                if not line.isdigit():
                    return line.decode() or None
                self._spared.add(int(line))

    def _wait(self, seconds: float) -> None:
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            pass

    def _say_how_it_ended(self) -> None:
        """Say how a worker ended that could not; the client reads this before it sees the end."""
        status = self._process.poll()
        if status is None:
            end = "replaced"
            text = f"remote code has closed the descriptors of {self._name}"
        else:
            end = f"status {status}"
            # Those of errors are large, and known by these digits: 0xc0000005 is an access violation.
            shown = f"status {hex(status)}" if status >> 16 else end
            text = (
                f"{self._name} has ended itself with {shown}{'' if status else ', or lost its descriptors'}"
            )
        standard_error.say(text)
        try:
            if select.select([], [self._words], [], 0)[1]:
                self._words.send(pack_last_words(end))
        except (OSError, ValueError):  # the client has left
            pass

    def _end_everything(self) -> None:
        spared = with_descendants(self._spared) if self._spared else set()
        members = set(self._job.list_processes())
        if spared & members:
            end_processes(members - spared)
            # One that was ended just now may have started another.
            end_processes(set(self._job.list_processes()) - with_descendants(self._spared))
            self._job.spare()
        else:
            self._job.terminate()
        self._job.close()
        self._process.wait()


class Watcher:
    """A thread that looks at the connections of all guards, as long as there are any."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._guards: Set[Guard] = set()
        self._is_running = False

    def add(self, guard: Guard) -> None:
        """Look at one more."""
        with self._lock:
            self._guards.add(guard)
            if not self._is_running:
                self._is_running = True
                threading.Thread(target=self._run, name="easycluster-watcher", daemon=True).start()

    def discard(self, guard: Guard) -> None:
        """Look at one less."""
        with self._lock:
            self._guards.discard(guard)

    def end_all(self, seconds: float) -> None:
        """End all connections, and wait until everything has gone."""
        with self._lock:
            hanging_up = list(self._guards)
        for guard in hanging_up:
            guard.hang_up()
        self.wait_for_all(seconds)

    def wait_for_all(self, seconds: float) -> None:
        """Wait until everything has gone, and end what takes too long."""
        deadline = time.monotonic() + seconds
        with self._lock:
            guards = list(self._guards)
        for guard in guards:
            guard.wait_for_end(max(0.0, deadline - time.monotonic()))

    def _run(self) -> None:
        took = 0.0
        while True:
            time.sleep(max(_INTERVAL, min(_LONGEST_INTERVAL, _SHARE * took)))
            began = time.monotonic()
            with self._lock:
                guards = list(self._guards)
                if not guards:
                    self._is_running = False
                    return
            for guard in guards:
                guard.look()
            took = time.monotonic() - began
