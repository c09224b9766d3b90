"""Running the calls of one thread, whatever interrupts come: each at most once, each answered once."""

from __future__ import annotations

import sys
from os import _exit, getpid  # remote code may put something else in the places of these
from typing import TYPE_CHECKING, Callable, Optional, Tuple

from easycluster_protocol._wire.messages import Message
from easycluster_protocol.errors import LocalProtocolError
from easycluster_server._io.channel import Channel
from easycluster_server._io.transport import is_connection_error
from easycluster_server._system import CANCEL_SIGNAL, interrupt_main_thread
from easycluster_server._system.output import standard_error
from easycluster_server._system.this_process import flush_streams, report

from .lazy import load

if TYPE_CHECKING:
    from typing import Protocol  # novm

    from .calls import CallRunner

    class JobOwner(Protocol):
        """What a job needs of its executor."""

        runner: CallRunner
        channel: Channel
        give_up: Callable[[], None]
        #: The process that may answer.
        pid: int

        def post(self, answer: Message) -> None:
            """Send a small answer, or let the thread that is sending take it along."""


#: Who takes a call: the thread that runs it, or the client's CANCEL. The first one has it.
RUNNER, CANCELLER = "runner", "canceller"


class Cancelled(BaseException):
    """Raised in a call that the client has cancelled. User code catches `Exception`, so not this."""


def take(request: Message, taker: str) -> bool:
    """Take a call, unless the other one has; return whether ``taker`` has it. It is one C call."""
    return vars(request).setdefault("taken_by", taker) is taker


class Job:
    """Runs the calls of one thread, one after the other, each at most once.

    Args:
        owner: has the runner of the calls and the channel that takes the answers.

    Attributes:
        current_call: the number of the call that this thread is at, until its answer has been sent; 0 between
            calls.
        interruption: the number of a call that was interrupted outside the user's code, and the exception.
        cancelled_call: the number of the call that the client has cancelled, until that is raised in it.
        is_unpacking: whether the arguments of a call are being unpickled, when it is not cancelled.
        has_cancel_signal: whether the signal for that is on its way to the main thread.
        is_abandoned: whether the connection was lost, which interrupts the call. Its exception is no
            answer then, although a client that has closed only its own direction could read it.
    """

    def __init__(self, owner: JobOwner) -> None:
        self._owner = owner
        self._started = 0
        self._answered = 0
        self._answer: Optional[Message] = None
        self.current_call = 0
        self.interruption: Tuple[int, Optional[BaseException]] = (0, None)
        self.cancelled_call = 0
        self.is_unpacking = False
        self.has_cancel_signal = False
        self.is_abandoned = False

    @property
    def can_be_interrupted(self) -> bool:
        """Whether a call is under way whose outcome is not settled."""
        answer = self._answer
        return self.current_call != 0 and (answer is None or answer.request != self.current_call)

    def is_under_way(self, request: Message) -> bool:
        """Whether the call was started and its answer is not known to have been sent."""
        return self._started == request.request != self._answered

    def is_at(self, number: int) -> bool:
        """Whether this call was started, and no other one after it."""
        return self._started == number

    def cancel(self, number: int) -> None:
        """Let `Cancelled` be raised in the call of this number, which the main thread has begun; call it in
        another thread."""
        # In this order: the handler looks at both, and the beginning of the call at the first.
        self.cancelled_call = number
        self.has_cancel_signal = True
        interrupt_main_thread(CANCEL_SIGNAL)

    def raise_if_cancelled(self) -> None:
        """Raise `Cancelled` once if the call that is under way was cancelled; signal handlers call this."""
        # A call that has not begun looks for itself. After its outcome is settled nothing is raised any more.
        is_begun = self.cancelled_call == self.current_call == self._started and not self.is_unpacking
        if is_begun and self.can_be_interrupted:
            self.cancelled_call = 0
            raise Cancelled

    def serve(self, request: Message) -> None:
        """Run the call and send its answer, or go on where an interrupt left off."""
        number = request.request
        if number == self._answered:
            return
        answer = self._answer
        if answer is None or answer.request != number:
            answer = self._answer = self.run(request)
        owner = self._owner
        if answer is None:  # it was cancelled before, and has its answer
            self._answered = number
            return
        try:
            owner.channel.send(answer)
        except LocalProtocolError:  # the answer cannot be sent; the connection is unharmed
            owner.runner.objects.give_back(answer.references)
            raise
        except OSError as error:
            if not is_connection_error(error):
                raise
            owner.give_up()
        self._answered = number
        self._answer = None

    def serve_uninterrupted(self, request: Message) -> None:
        """Run the call and send its answer in a thread where no signal handler runs.

        A call that cannot be answered, as for want of memory, is answered by the reason.
        """
        try:
            self.serve(request)
        except BaseException as error:
            report(error)
            try:
                self._owner.post(self._pack_failure(request, error))
            except BaseException as second:  # nothing can be said any more; the client must not wait for it
                report(second)
                self._owner.give_up()
            self._answered = request.request
            self._answer = None

    def run(self, request: Message) -> Optional[Message]:
        """Run the user's code and return the answer; None: the call was cancelled before."""
        owner = self._owner
        runner = owner.runner
        if self._started == request.request:
            # An interrupt came before the outcome of the user's code was noted.
            number, error = self.interruption
            if number != request.request or error is None:
                error = RuntimeError("a signal handler raised at the end of the call")
            return self._pack_failure(request, error)
        # As `take`, without a function call.
        if vars(request).setdefault("taken_by", RUNNER) is not RUNNER:
            return None
        self._started = request.request
        try:
            try:
                # What the arguments import is imported completely: some libraries cannot be imported again.
                self.is_unpacking = True
                function, name, args, kwargs = runner.unpack(request)
                self.is_unpacking = False
                if self.cancelled_call == request.request:
                    self.cancelled_call = 0
                    raise Cancelled
                return runner.pack_result(request, name, function(*args, **kwargs))
            finally:
                if getpid() != owner.pid:
                    leave_forked()
        except BaseException as raised:
            if self.is_abandoned:
                raise
            error = raised
        # Not while the exception is being handled: PyPy would undo changes to its stack trace.
        return self._pack_failure(request, error)

    def _pack_failure(self, request: Message, error: BaseException) -> Message:
        if isinstance(error, Cancelled):
            error = load("easycluster_server._serving.cancelling").explain(request, error)
        return self._owner.runner.pack_failure(request, error)


def leave_forked() -> None:
    """End this process, which the user's function forked and did not end itself."""
    error = sys.exc_info()[1]
    status = 0
    try:
        if isinstance(error, SystemExit):
            status = error.code if isinstance(error.code, int) else int(error.code is not None)
            if status and not isinstance(error.code, int):
                standard_error.print(f"{error.code}\n")
        elif error is not None:
            status = 1
            report(error)
        flush_streams()
    finally:  # whatever happens, it must not go on as a second worker
        _exit(status)
