"""The guardian, the parent of a worker: it sees the link and the master go, and ends processes that must go.

It is single-threaded, runs no user code and never reads from the link. On Linux it is the subreaper
of everything that the worker starts, so daemons that leave the worker's session cannot leave its sight.

What ends when::

    the client closed the connection    the worker and the processes of its session; daemons that
                                        left that session stay, as after any program
    the link or the master was lost,    everything that the worker started, daemons too, but for the
    or the worker died                  processes given to `detach`

Where there is no /proc that shows these processes, as in a chroot and on macOS, both rows mean the worker and
the processes of its process group.
"""

from __future__ import annotations

import os
import select
import time
from typing import TYPE_CHECKING, Callable, List, Optional, Sequence, Set, Tuple

from easycluster_server._system.control import CLOSED
from easycluster_server._system.output import standard_error

from . import proc
from .output_relay import OutputRelay
from .reports import UnreadReports
from .system_calls import host_name
from .worker_end import describe_end, name_client

if TYPE_CHECKING:
    import signal
else:
    import _signal as signal  # the other half takes 3 ms to import, and is not needed

if TYPE_CHECKING:
    from types import FrameType

    from easycluster_server._system.transport_types import Transport

#: Seconds that the worker has to say how the connection ended, once the guardian sees the end. A worker that
#: is in C code for longer cannot speak, and its connection counts as lost.
REPORT_GRACE = 2.0

#: Seconds that a worker has to end by itself when its client has closed the connection: its call has been
#: interrupted, and its ``finally`` blocks and ``atexit`` functions run.
CLOSE_GRACE = 3.0

#: Seconds that a worker has to end by itself when it has said that the connection was lost: an unfinished
#: line of its output is written then.
LOSS_GRACE = 0.5

#: Seconds between the request to end and SIGKILL.
KILL_GRACE = 1.0

#: Seconds that the reader of standard error has at the end for what it has not read.
_OUTPUT_GRACE = 2.0

#: Seconds between two looks at the processes that are to end.
_POLL_INTERVAL = 0.02

_HANG_UP = getattr(select, "POLLRDHUP", 0)


class Guardian:
    """Watches over one worker.

    Args:
        worker: the worker's process id; it leads its own session.
        transport: the connection.
        control: the reading end of the pipe on which the worker says how the connection ended (a line:
            `CLOSED` or `LOST`) and which processes to spare (a line each: the process id).
        wakeup: both ends of a pipe, by which signals wake it.
        tell: tells the client how a worker ended that could not speak for itself.
        questions: the descriptor of the socket on which the client asks how the worker is; -1: there is none.
        notes: the descriptor of `fork_from_keeper`, or -1.
        output: what the worker prints can be read there, and is printed by the guardian; -1: the worker has
            standard output and error of its own.
        looks: the milliseconds between two looks whether the worker reads, and the beginning of the lines
            about that, see `UnreadReports`; empty: it never looks.
    """

    def __init__(
        self,
        worker: int,
        transport: Transport,
        control: int,
        wakeup: Tuple[int, int],
        tell: Callable[[str], object] = str,
        questions: int = -1,
        notes: int = -1,
        output: int = -1,
        looks: Sequence[bytes] = (),
    ) -> None:
        self._tell = tell
        self._notes = notes
        self._note(worker, 0)
        self._worker = worker
        self._name = f"the process {worker} on {host_name()}{name_client(transport)}"
        self._transport = transport
        self._control = control
        self._spared: Set[Tuple[int, int]] = set()
        self._pending = b""
        self._outcome: Optional[str] = None
        self._worker_ended = False
        #: As `os.waitpid` gives it; None: it is not known.
        self._worker_status: Optional[int] = None
        self._control_ended = False
        #: The end of the worker's time to speak; None while the connection lasts.
        self._deadline: Optional[float] = None
        self._poll = select.poll()
        self._link = {transport.fileno(), transport.write_fileno()}
        for descriptor in self._link:
            self._poll.register(descriptor, _HANG_UP)
        os.set_blocking(control, False)
        self._poll.register(control, select.POLLIN)
        self._wakeup, writing = wakeup
        self._poll.register(self._wakeup, select.POLLIN)
        self._questions = questions
        if questions >= 0:
            os.set_blocking(questions, False)
            self._poll.register(questions, select.POLLIN)
        self._relay = OutputRelay(output, self._poll)
        interval, mark = looks or (b"0", b"")
        self._reports = UnreadReports(transport.fileno(), worker, int(interval) / 1000, mark)
        self._catch_signals(writing)

    def _catch_signals(self, writing: int) -> None:
        for descriptor in (self._wakeup, writing):
            os.set_blocking(descriptor, False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_end_request)
        signal.set_wakeup_fd(writing)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())  # see `fork_from_keeper` and `replacing`

    def _on_end_request(self, number: int, frame: Optional[FrameType]) -> None:
        """End the connection. The worker still receives the bytes that have come: perhaps the client said
        goodbye just before."""
        self._note_end()
        self._transport.shutdown()

    def _note_end(self) -> None:
        if self._deadline is None:
            self._deadline = time.monotonic() + REPORT_GRACE

    def watch(self) -> None:
        """Watch until the worker, and all that must go with it, have gone."""
        self._reap()  # the worker may have ended before SIGCHLD was caught
        while not self._worker_ended and self._outcome is None:
            timeout = None if self._deadline is None else self._deadline - time.monotonic()
            if timeout is not None and timeout <= 0:
                break
            self._wait_for_event(self._reports.limit_wait(timeout))
            report = self._reports.look()
            if report:
                self._relay.add(report)
        self._read_control()  # the worker may have spoken with its last breath
        if self._outcome == CLOSED:
            self._end_session()
            self._transport.shutdown()  # a daemon that the worker has forked may hold a copy
        else:
            if self._outcome:
                self._wait_until(lambda: self._worker_ended, LOSS_GRACE)
            else:
                self._say_how_it_ended()
            self._end_everything()
        self._print_output(_OUTPUT_GRACE)
        self._reap_all()  # zombies that are left behind burden a system whose init does not reap

    def _say_how_it_ended(self) -> None:
        """Say how a worker ended that could not; the client reads this before it sees the end."""
        status = self._worker_status
        if status is None and not (self._control_ended and not self._worker_ended):
            return  # it is in C code and the link was lost, or its status is not known
        end, text = describe_end(self._name, status)
        self._print_output(LOSS_GRACE)  # that came before
        standard_error.say(text)
        self._tell(end)

    def _wait_for_event(self, timeout: Optional[float]) -> None:
        for descriptor, _ in self._poll.poll(None if timeout is None else timeout * 1000):
            if descriptor in self._link:
                self._poll.unregister(descriptor)
                self._link.discard(descriptor)
                self._note_end()
            elif descriptor == self._control:
                if not self._read_control():
                    # The worker ends, or remote code has closed its descriptors or put another program in its
                    # place by `os.exec*`. Then nobody but us would see the end of the connection.
                    self._poll.unregister(descriptor)
                    self._control_ended = True
                    self._deadline = time.monotonic() + LOSS_GRACE
            elif descriptor == self._questions:
                from .questions import answer_questions

                if not answer_questions(descriptor, self._worker):
                    self._poll.unregister(descriptor)
            elif descriptor == self._relay.watched:
                self._relay.copy()
            else:
                _read_all(self._wakeup)
                self._reap()

    def _read_control(self) -> bool:
        """Read what the worker says; return False when it will say nothing more."""
        data, ended = _read_all(self._control)
        *lines, self._pending = (self._pending + data).split(b"\n")
        for line in lines:
            if line.isdigit():
                process = proc.read_process(int(line))
                if process is not None:
                    self._spared.add((process.pid, process.started))
                    self._note(process.pid, process.started)
            elif self._outcome is None:
                self._outcome = line.decode()
        return not ended

    def _note(self, pid: int, started: int) -> None:
        try:
            os.write(self._notes, b"%d %d " % (pid, started))
        except OSError:  # there is no keeper, or it has thousands of notes
            pass

    def _print_output(self, seconds: float) -> None:
        """Print what the worker has printed so far, for as long as somebody reads it, but no longer than so
        many seconds."""
        self._relay.take_all()
        self._wait_until(lambda: not self._relay.pending, seconds)

    def _reap(self) -> None:
        """Reap the children that have ended, but for the worker.

        Its session and its group are found by its id, which another process might get then.
        """
        if not hasattr(os, "waitid"):  # on macOS before Python 3.13
            self._reap_all()
            return
        while not self._worker_ended:
            try:
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                self._worker_ended = True
                return
            if ended is None:
                return
            if ended.si_pid == self._worker:
                self._worker_ended = True
                self._worker_status = ended.si_status << (8 if ended.si_code == os.CLD_EXITED else 0)
            else:
                os.waitpid(ended.si_pid, 0)

    def _reap_all(self) -> None:
        """Reap all children that have ended."""
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
        """End the worker's session: the client has closed the connection."""
        self._wait_until(lambda: self._worker_ended, CLOSE_GRACE)
        if self._worker_ended:
            proc.send_signal(self._find_session_members(), signal.SIGHUP)
            self._wait_until(lambda: not self._find_session_members(), KILL_GRACE)
        self._kill(self._find_session_members)

    def _end_everything(self) -> None:
        """End all that the worker started: the connection or the worker is lost."""
        self._transport.shutdown()
        self._transport.close()
        proc.send_signal(self._find_everything(), signal.SIGTERM)
        self._wait_until(lambda: not self._find_everything(), KILL_GRACE)
        self._kill(self._find_everything)

    def _find_session_members(self) -> List[proc.Process]:
        table = proc.read_processes()
        members = [each for each in table.values() if each.session == self._worker and each.state != "Z"]
        return members if table else self._find_group()

    def _find_everything(self) -> List[proc.Process]:
        table = proc.read_processes()
        return proc.find_descendants_except(self._spared, os.getpid(), table) if table else self._find_group()

    def _find_group(self) -> List[proc.Process]:
        """Return the worker's process group as one, the second best where no /proc shows the processes."""
        if self._worker_ended:
            self._reap_all()  # a zombie is a member as well; while there are others no process gets this id
        for pid in (-self._worker,) if self._worker_ended else (-self._worker, self._worker):
            try:
                os.kill(pid, 0)
            except OSError:  # it does not exist, or the worker has not made its group yet
                continue
            return [proc.Process(pid, 0, 0, 0, "")]
        return []

    def _wait_until(self, condition: Callable[[], bool], seconds: float) -> None:
        """Wait until the condition holds, or for so many seconds."""
        deadline = time.monotonic() + seconds
        self._reap()
        while not condition() and time.monotonic() < deadline:
            self._wait_for_event(_POLL_INTERVAL)
            self._reap()

    def _kill(self, members: Callable[[], List[proc.Process]]) -> None:
        """Kill until no process is left; one that is killed may have forked meanwhile."""
        deadline = time.monotonic() + KILL_GRACE
        while time.monotonic() < deadline:
            remaining = members()
            if not remaining:
                break
            proc.send_signal(remaining, signal.SIGKILL)
            self._wait_until(lambda: not members(), _POLL_INTERVAL)


def _read_all(descriptor: int) -> Tuple[bytes, bool]:
    """Return the bytes that can be read now, and whether they are the last."""
    data = b""
    while True:
        try:
            chunk = os.read(descriptor, 4096)
        except BlockingIOError:
            return data, False
        if not chunk:
            return data, True
        data += chunk
