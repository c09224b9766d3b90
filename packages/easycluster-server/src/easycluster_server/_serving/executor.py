"""Where calls run: thread 0 is the process's main thread, every other thread id has one (`threads`).

Guarantees:

- Calls of one thread id run in the order in which they were sent; calls of different ids at once.
- A call is started at most once, whatever interrupts come, and each gets exactly one answer.
- No call of a thread starts before its predecessor's answer has left or has been copied.
- A process that user code forked never answers: it leaves when the user's function returns.

`Executor.deliver` is called by whoever has the turn to read, perhaps twice with the same request
(see `Channel.receive`); the repetition follows at once, so each queue drops it by its id.
"""

from __future__ import annotations

import _thread
import os
import sys
import threading
from collections import deque
from typing import TYPE_CHECKING, Callable, Deque, Optional, Set, Tuple

from easycluster_protocol._wire.messages import Message
from easycluster_protocol.errors import LocalProtocolError
from easycluster_server._io.channel import Channel
from easycluster_server._io.interrupts import Gate
from easycluster_server._io.transport import is_connection_error
from easycluster_server._system.this_process import report

from .lazy import free_import_lock, load

if TYPE_CHECKING:
    from typing import Protocol  # novm

    from .calls import Caller

    class OtherThreads(Protocol):
        """The threads beside the main thread, as `threads` makes them."""

        def deliver(self, request: Message) -> None:
            """Run a call in its thread."""

        def stop(self, thread: int) -> None:
            """Let a thread end when the calls it has are done."""


class Job:
    """Runs the calls of one thread, one after the other, each at most once."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._started = 0
        self._answered = 0
        self._answer: Optional[Message] = None
        #: The id of the call that this thread is at, until its answer has been sent; 0 between calls.
        self.busy = 0
        #: The id of a call that was interrupted outside the user's code, and by what.
        self.interruption: Tuple[int, Optional[BaseException]] = (0, None)

    @property
    def interruptible(self) -> bool:
        """Whether a call is under way whose outcome is not settled."""
        answer = self._answer
        return self.busy != 0 and (answer is None or answer.request != self.busy)

    def is_under_way(self, request: Message) -> bool:
        """Whether the call was started and its answer is not known to have been sent."""
        return self._started == request.request != self._answered

    def is_at(self, number: int) -> bool:
        """Whether no other call was started after this one."""
        return self._started == number

    def serve(self, request: Message) -> None:
        """Run the call and send its answer, or go on where an interrupt left off."""
        number = request.request
        if number == self._answered:
            return
        answer = self._answer
        if answer is None or answer.request != number:
            answer = self._answer = self._call(request)
        executor = self._executor
        try:
            executor.channel.send(answer)
        except LocalProtocolError:  # the answer cannot be sent; the connection is unharmed
            executor.caller.objects.give_back(answer.references)
            raise
        except OSError as error:
            if not is_connection_error(error):
                raise
            executor.give_up()
        self._answered = number
        self._answer = None

    def serve_surely(self, request: Message) -> None:
        """As `serve`, where no signal handler can interrupt; what cannot be answered, as for want of
        memory, is answered by the reason."""
        try:
            self.serve(request)
        except BaseException as error:
            report(error)
            try:
                self._executor.post(self._executor.caller.failure(request, error))
            except BaseException as second:  # nothing can be said any more; the client must not wait for it
                report(second)
                self._executor.give_up()
            self._answered = request.request
            self._answer = None

    def _call(self, request: Message) -> Message:
        """Run the user's code and return the answer."""
        executor = self._executor
        if self._started == request.request:
            # An interrupt came before the outcome of the user's code was noted.
            number, error = self.interruption
            if number != request.request or error is None:
                error = RuntimeError("a signal handler raised at the end of the call")
            return executor.caller.failure(request, error)
        self._started = request.request
        try:
            try:
                function, name, args, kwargs = executor.caller.unpack(request)
                value = function(*args, **kwargs)
            finally:
                if os.getpid() != executor.pid:
                    leave_forked()
            return executor.caller.result(request, name, value)
        except BaseException as raised:
            error = raised
        # Not while it is handled: PyPy would undo what is done to its stack trace.
        return executor.caller.failure(request, error)


class Executor:
    """The threads of one session and the calls that wait for them.

    Args:
        channel: takes the answers.
        give_up: called when an answer cannot be sent: it ends the session.

    Attributes:
        caller: executes calls; to be set before the first is delivered.
    """

    caller: Caller

    def __init__(
        self,
        channel: Channel,
        give_up: Callable[[], None],
    ) -> None:
        self.main = Job(self)
        #: All that run calls, each in its own thread.
        self.jobs: Set[Job] = {self.main}
        self.main_queue: Deque[Message] = deque()
        self._finishing = threading.Lock()
        self.channel = channel
        self.give_up = give_up
        self._lanes: Optional[OtherThreads] = None
        self.pid = os.getpid()

    def deliver(self, request: Message) -> None:
        """Put a call in the queue of its thread, which is started when there is none."""
        if request.thread == 0:
            self.main_queue.append(request)
        else:
            (self._lanes or self._make_lanes()).deliver(request)

    def _make_lanes(self) -> OtherThreads:
        # Over ssh it comes with the first call, and many sessions never need it.
        lanes: OtherThreads = load("easycluster_server._serving.threads").Lanes(self)
        self._lanes = lanes
        return lanes

    def is_running(self, number: int) -> bool:
        """Whether a thread is at this call."""
        return any(job.is_at(number) for job in tuple(self.jobs))

    def stop_thread(self, thread: int) -> None:
        """Let a thread end when the calls it has are done."""
        if self._lanes is not None:
            self._lanes.stop(thread)

    def post(self, answer: Message) -> None:
        """Send a small answer, or let the thread that is sending take it along."""
        try:
            self.channel.post(answer)
        except OSError as error:
            if not is_connection_error(error) and not isinstance(error, LocalProtocolError):
                raise
            self.give_up()

    def finish_main(self) -> None:
        """Finish the call of the main thread that an interrupt cut short outside the user's code.

        That happens in another thread, where no signal handler can come between again: handlers
        that come faster than an answer can be packed would otherwise keep it from ever being sent.
        """
        request = self.main_queue[0] if self.main_queue else None
        if request is None or not self.main.is_under_way(request):
            return
        free_import_lock()  # packing the answer may import, in another thread
        finished = Gate()
        # One C call, as `Thread.start` is not: an interrupt in the middle of that loses the thread.
        _thread.start_new_thread(self._finish, (request, finished))
        finished.wait()

    def _finish(self, request: Message, finished: Gate) -> None:
        try:
            with (
                self._finishing
            ):  # an interrupt of `finish_main` may start it twice; perhaps this is the second
                if self.main.is_under_way(request):
                    self.main.serve_surely(request)
        finally:
            finished.open()


def leave_forked() -> None:
    """End this process, which the user's function forked and did not end itself."""
    error = sys.exc_info()[1]
    code = 0
    if isinstance(error, SystemExit):
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
        if code and not isinstance(error.code, int):
            sys.stderr.write(f"{error.code}\n")
    elif error is not None:
        report(error)
        code = 1
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:
            pass
    os._exit(code)
