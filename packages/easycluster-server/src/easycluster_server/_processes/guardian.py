"""The guardian: the parent of a worker, which sees the link and the master go and kills what must go.

It is single-threaded, runs no code of the user's and never reads from the link. On Linux it is the
subreaper of everything the worker starts, so daemons that leave the worker's session cannot leave
its sight.

What ends when::

    the client closed the connection    the worker and the processes of its session; daemons that
                                        left that session stay, as after any program
    the link or the master was lost,    everything the worker started, daemons too, but for what was
    or the worker died                  given to `detach`
"""

from __future__ import annotations

import os
import select
import time
from typing import TYPE_CHECKING, Any, Callable, List, Optional, Set, Tuple

from easycluster_server._system import proc
from easycluster_server._system.control import CLOSED

if TYPE_CHECKING:
    import signal
else:
    import _signal as signal  # all that is needed of it: the other half takes 3 ms to import

#: Seconds that the worker has to say how the connection ended, once the guardian sees its end. A
#: worker that is in C code for longer cannot speak, and its connection counts as lost.
REPORT_GRACE = 2.0

#: Seconds that a worker whose client has closed the connection has to end by itself: its call has
#: been interrupted, and its ``finally`` blocks and ``atexit`` functions run.
CLOSE_GRACE = 3.0

#: Seconds that a worker has to end by itself when it has said that the connection was lost: what it printed
#: without the end of a line is written then.
LOSS_GRACE = 0.5

#: Seconds between the request to end and SIGKILL.
KILL_GRACE = 1.0

#: Seconds between two looks at the processes that shall end.
_LOOK = 0.02

#: How those signals are called by which processes end that did not want to.
_SIGNALS = {9: " (SIGKILL)", 11: " (SIGSEGV)"}

_HANG_UP = getattr(select, "POLLRDHUP", 0)


class Guardian:
    """Watches over one worker.

    Args:
        worker: the worker's process id; it leads its own session.
        transport: the connection.
        control: the reading end of the pipe on which the worker says how the connection ended
            (a line, `CLOSED` or `LOST`) and which processes to spare (a line, their id).
    """

    def __init__(self, worker: int, transport: Any, control: int) -> None:
        self._worker = worker
        self._transport = transport
        self._control = control
        self._spared: Set[Tuple[int, int]] = set()
        self._pending = b""
        self._how: Optional[str] = None
        self._worker_ended = False
        self._worker_status = 0
        #: When the worker's time to speak is over; None: the connection has not ended yet.
        self._deadline: Optional[float] = None
        self._poll = select.poll()
        self._link = {transport.fileno(), transport.write_fileno()}
        for descriptor in self._link:
            self._poll.register(descriptor, _HANG_UP)
        os.set_blocking(control, False)
        self._poll.register(control, select.POLLIN)
        self._wakeup = self._catch_signals()

    def _catch_signals(self) -> int:
        reading, writing = os.pipe()
        for descriptor in (reading, writing):
            os.set_blocking(descriptor, False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_end_request)
        signal.set_wakeup_fd(writing)
        self._poll.register(reading, select.POLLIN)
        return reading

    def _on_end_request(self, number: int, frame: Any) -> None:
        """End the connection. The worker still takes in what has come: perhaps the client said
        goodbye just before."""
        self._begin_end()
        self._transport.shutdown()

    def _begin_end(self) -> None:
        if self._deadline is None:
            self._deadline = time.monotonic() + REPORT_GRACE

    def watch(self) -> None:
        """Watch until the worker and what must go with it have gone."""
        self._reap()  # the worker may have ended before SIGCHLD was caught
        while not self._worker_ended and self._how is None:
            timeout = None if self._deadline is None else self._deadline - time.monotonic()
            if timeout is not None and timeout <= 0:
                break
            self._wait_for_event(timeout)
        self._read_control()  # also what the worker said with its last breath
        if self._how == CLOSED:
            self._end_session()
        else:
            if self._how:
                self._wait_until(lambda: self._worker_ended, LOSS_GRACE)
            self._end_everything()
            if self._how is None:
                _report_signal(self._worker_status)
        self._reap()  # a zombie that is left behind is a burden on a system whose init does not reap

    def _wait_for_event(self, timeout: Optional[float]) -> None:
        for descriptor, _ in self._poll.poll(None if timeout is None else timeout * 1000):
            if descriptor in self._link:
                self._poll.unregister(descriptor)
                self._link.discard(descriptor)
                self._begin_end()
            elif descriptor == self._control:
                if not self._read_control():
                    self._poll.unregister(descriptor)
            else:
                _read_all(self._wakeup)
                self._reap()

    def _read_control(self) -> bool:
        """Take in what the worker says; return False when it will say nothing more."""
        data, ended = _read_all(self._control)
        *lines, self._pending = (self._pending + data).split(b"\n")
        for line in lines:
            if line.isdigit():
                process = proc.read_process(int(line))
                if process is not None:
                    self._spared.add((process.pid, process.started))
            elif self._how is None:
                self._how = line.decode()
        return not ended

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                self._worker_ended = True
                return
            if pid == 0:
                return
            if pid == self._worker:
                self._worker_ended = True
                self._worker_status = status

    def _end_session(self) -> None:
        """The client closed the connection: end the worker's session."""
        self._wait_until(lambda: self._worker_ended, CLOSE_GRACE)
        if self._worker_ended:
            proc.send_signal(self._session_members(), signal.SIGHUP)
            self._wait_until(lambda: not self._session_members(), KILL_GRACE)
        self._kill(self._session_members)

    def _end_everything(self) -> None:
        """The connection or the worker is lost: end all that the worker started."""
        self._transport.shutdown()
        self._transport.close()
        proc.send_signal(self._everything(), signal.SIGTERM)
        self._wait_until(lambda: not self._everything(), KILL_GRACE)
        self._kill(self._everything)

    def _session_members(self) -> List[Any]:
        table = proc.process_table()
        return [
            process for process in table.values() if process.session == self._worker and process.state != "Z"
        ]

    def _everything(self) -> List[Any]:
        table = proc.process_table()
        spared = {pid for pid, started in self._spared if pid in table and table[pid].started == started}
        return proc.without_subtrees(os.getpid(), spared, table)

    def _wait_until(self, condition: Callable[[], bool], seconds: float) -> None:
        """Wait until the condition holds, or for so many seconds."""
        deadline = time.monotonic() + seconds
        self._reap()
        while not condition() and time.monotonic() < deadline:
            select.select([self._wakeup], [], [], _LOOK)
            _read_all(self._wakeup)
            self._reap()

    def _kill(self, members: Callable[[], List[Any]]) -> None:
        """Kill until nobody is left; who is killed may have forked meanwhile."""
        deadline = time.monotonic() + KILL_GRACE
        while time.monotonic() < deadline:
            remaining = members()
            if not remaining:
                break
            proc.send_signal(remaining, signal.SIGKILL)
            self._wait_until(lambda: not members(), _LOOK)
        if not self._worker_ended:  # there is no /proc: its process group is all that can be found
            for kill in (os.killpg, os.kill):
                try:
                    kill(self._worker, signal.SIGKILL)
                except OSError:
                    pass
            self._reap()


def _report_signal(status: int) -> None:
    """Say on standard error, which the user sees, by which signal a worker was ended, if it was."""
    # Not when it would have to wait: a terminal may be held up for ever.
    if os.WIFSIGNALED(status) and select.select([], [2], [], 0)[1]:
        number = os.WTERMSIG(status)
        name = _SIGNALS.get(number, "")
        try:
            os.write(2, b"easycluster: the server was ended by signal %d%s\n" % (number, name.encode()))
        except OSError:  # nobody is there to see it
            pass


def _read_all(descriptor: int) -> Tuple[bytes, bool]:
    """Return what can be read now, and whether it was the last."""
    data = b""
    while True:
        try:
            chunk = os.read(descriptor, 4096)
        except BlockingIOError:
            return data, False
        if not chunk:
            return data, True
        data += chunk
