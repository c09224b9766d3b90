"""Where calls run: thread 0 is the process's main thread, every other thread id has its own thread.

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
from typing import TYPE_CHECKING, Callable, Deque, Dict, Optional, Set, Tuple

from easycluster_protocol._constants import SINGLE_THREAD
from easycluster_protocol._messages import Message
from easycluster_protocol.errors import LocalProtocolError

from ._channel import Channel
from ._this_process import report
from ._transport import broke

if TYPE_CHECKING:
    from ._calls import Caller


class _Queue:
    """What waits for one thread, which alone takes from it.

    A signal handler that raises in the middle of `put` does no harm when the same is put again. The
    queues of Python 3.6 and of PyPy would stay locked, or count one too few.
    """

    def __init__(self) -> None:
        self._items: Deque[Optional[Message]] = deque()
        self._gate = threading.Lock()

    def put(self, item: Optional[Message]) -> None:
        """Add a call; None: the thread shall end."""
        self._items.append(item)
        # A gate that is opened once too often costs one round of looking, and nothing else.
        if self._gate.locked():
            try:
                self._gate.release()
            except RuntimeError:  # somebody else opened it just now
                pass

    def get(self) -> Optional[Message]:
        """Wait for the next, and take it."""
        while not self._items:
            self._gate.acquire()
        return self._items.popleft()


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
        try:
            self._executor.send(answer)
        except LocalProtocolError:
            self._executor.caller.objects.give_back(answer.references)
            raise
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


class _Lane:
    """The calls that wait for one thread.

    Attributes:
        unclaimed: empty as soon as a system thread serves the lane. An interrupt may come in the
            middle of starting that thread; then it is started again, and one of the two leaves.
        started: whether that is over.
    """

    def __init__(self) -> None:
        self.queue = _Queue()
        self.unclaimed = [True]
        self.started = False


class Executor:
    """The threads of one session and the calls that wait for them.

    Args:
        channel: takes the answers.
        on_send_failure: called when an answer cannot be sent because the connection is gone.

    Attributes:
        caller: executes calls; to be set before the first is delivered.
    """

    caller: Caller

    def __init__(
        self,
        channel: Channel,
        on_send_failure: Callable[[], None],
    ) -> None:
        self.main = Job(self)
        #: All that run calls, each in its own thread.
        self._jobs: Set[Job] = {self.main}
        self.main_queue: Deque[Message] = deque()
        self._finishing = threading.Lock()
        self._channel = channel
        self._on_send_failure = on_send_failure
        self._lanes: Dict[int, _Lane] = {}
        self._single: Tuple[int, _Lane] = (0, _Lane())
        self.pid = os.getpid()

    def deliver(self, request: Message) -> None:
        """Put a call in the queue of its thread, which is started when there is none."""
        if request.thread == 0:
            self.main_queue.append(request)
        elif request.thread == SINGLE_THREAD:
            if self._single[0] != request.request:
                self._single = (request.request, _Lane())
            lane = self._single[1]
            if self._start(lane, "single", request):
                lane.queue.put(request)
                lane.queue.put(None)
        else:
            lane = self._lanes.get(request.thread) or self._lanes.setdefault(request.thread, _Lane())
            if self._start(lane, str(request.thread), request):
                lane.queue.put(request)
            else:
                del self._lanes[request.thread]

    def _start(self, lane: _Lane, name: str, request: Message) -> bool:
        """Make sure that a thread serves the lane, or answer that there can be none."""
        if lane.started:
            return True
        thread = threading.Thread(
            target=self._run_lane, args=(lane,), name=f"easycluster-{name}", daemon=True
        )
        try:
            thread.start()
        except RuntimeError as error:  # the system has no more threads
            if not _claim(lane):
                raise
            self.post(self.caller.failure(request, error))
            return False
        lane.started = True
        return True

    def is_running(self, number: int) -> bool:
        """Whether a thread is at this call."""
        return any(job.is_at(number) for job in tuple(self._jobs))

    def stop_thread(self, thread: int) -> None:
        """Let a thread end when the calls it has are done."""
        lane = self._lanes.pop(thread, None)
        if lane is not None:
            lane.queue.put(None)

    def send(self, answer: Message) -> None:
        """Send an answer; when the connection is gone, the session's end is begun.

        Raises:
            LocalProtocolError: this answer cannot be sent; the connection is unharmed.
        """
        try:
            self._channel.send(answer)
        except OSError as error:
            if not broke(error):
                raise
            self._on_send_failure()

    def give_up(self) -> None:
        """End the session."""
        self._on_send_failure()

    def post(self, answer: Message) -> None:
        """Send a small answer, or let the thread that is sending take it along."""
        try:
            self._channel.post(answer)
        except OSError as error:
            if not broke(error) and not isinstance(error, LocalProtocolError):
                raise
            self._on_send_failure()

    def finish_main(self) -> None:
        """Finish the call of the main thread that an interrupt cut short outside the user's code.

        That happens in another thread, where no signal handler can come between again: handlers
        that come faster than an answer can be packed would otherwise keep it from ever being sent.
        """
        request = self.main_queue[0] if self.main_queue else None
        if request is None or not self.main.is_under_way(request):
            return
        finished = threading.Lock()
        finished.acquire()
        # One C call, as `Thread.start` is not: an interrupt in the middle of that loses the thread.
        _thread.start_new_thread(self._finish, (request, finished))
        finished.acquire()

    def _finish(self, request: Message, finished: threading.Lock) -> None:
        try:
            with (
                self._finishing
            ):  # an interrupt of `finish_main` may start it twice; perhaps this is the second
                if self.main.is_under_way(request):
                    self.main.serve_surely(request)
        finally:
            finished.release()

    def _run_lane(self, lane: _Lane) -> None:
        if not _claim(lane):
            return
        job = Job(self)
        self._jobs.add(job)
        while True:
            request = lane.queue.get()
            if request is None:
                self._jobs.discard(job)
                return
            job.serve_surely(request)


def _claim(lane: _Lane) -> bool:
    """Take the lane for the calling thread, if it is nobody's."""
    try:
        lane.unclaimed.pop()
    except IndexError:
        return False
    return True


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
