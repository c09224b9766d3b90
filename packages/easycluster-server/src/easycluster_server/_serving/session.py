"""One session, as the worker process sees it: reads requests, runs them, ends in order.

Theory of operation. The main thread runs `Session.serve`. It takes `_turn`, the lock that says whose turn it
is to read, and receives; each complete message goes to `_deliver` while the turn is held, so no user code
runs in there. A call becomes an entry of a queue and is not run yet:

- A call of thread 0 goes to `Executor.main_queue`. The main thread gives the turn back, takes the call from
  there, runs the user's function and sends the answer, all by itself: no other thread is woken for a short
  call.
- A call of another thread goes to that thread's queue (`threads`), whose gate is opened; the thread runs it
  and sends the answer. Such a thread never reads.

When a call of the main thread lasts, no thread reads any more. The follower (`follower`) notices that by
looking at `Job.current_call` every few milliseconds, and reads with the turn whenever bytes have come, until
the call is over. It sleeps while no calls come, and the main thread wakes it with the first one. Answers
leave through the channel, whose lock is held for one group of frames at a time; a pong that finds the lock
taken is left to the thread that has it.

An interrupt (a signal handler that raises) between two calls, or between a call and its answer,
lands in `_serve`. It is reported, or noted as the outcome of the call; then `Executor.finish_main` sends in
another thread the answer that was cut short, and the main thread goes on.

The first thread that sees the end (`_end`) tells the guardian how it came, and interrupts the call of the
main thread. The main thread returns from `serve` when that call is over, and the process ends; threads do not
keep it.
"""

from __future__ import annotations

from _imp import lock_held
from typing import TYPE_CHECKING, Callable, Optional, Sequence

from easycluster_protocol._wire import messages as m
from easycluster_protocol._wire.link import Link
from easycluster_protocol._wire.messages import Message
from easycluster_server._io.interrupts import OwnedLock
from easycluster_server._io.transport import wait
from easycluster_server._system import CANCEL_SIGNAL, interrupt_main_thread
from easycluster_server._system.control import LOST
from easycluster_server._system.this_process import report, report_briefly

from .executor import Executor
from .follower import Follower
from .fork_guard import ForkGuard
from .idle_session import CALLS, IdleSession
from .lazy import free_import_lock

if TYPE_CHECKING:
    import signal
else:
    import _signal as signal  # the other half takes 3 ms to import, and is not needed

if TYPE_CHECKING:
    from types import FrameType

    from easycluster_protocol._types import Buffer
    from easycluster_server._io.transport import Transport

    from .calls import CallRunner

#: How many handlers may raise while an earlier one's exception is being handled, between two calls.
_MAX_NESTED_HANDLERS = 8


class Session(IdleSession):
    """Serves one connection in this process.

    Args:
        link: the link, handshake done.
        transport: its transport.
        on_end: called when the connection has ended, with `CLOSED` or `LOST`; in any thread, and perhaps
            twice with the same.
        make_runner: called once, when the first call has come.
        add_modules: takes modules that the client has sent; raises `Exception` if they are none.
    """

    def __init__(
        self,
        link: Link,
        transport: Transport,
        on_end: Callable[[str], None],
        make_runner: Callable[[], CallRunner],
        add_modules: Callable[[Buffer], None],
    ) -> None:
        super().__init__(link, transport, on_end, add_modules)
        self._executor = Executor(self._channel, self._give_up)
        self._make_runner = make_runner
        self._deliver_call: Callable[[Message], None] = self._deliver_first_call
        self._turn = OwnedLock()
        self._follower = Follower(self._get_current_call, self._read_for_main)
        self._fork_guard = ForkGuard(self._follower, transport)

    def _get_current_call(self) -> int:
        return self._executor.main.current_call

    def serve(self, arrived: Sequence[Message] = ()) -> str:
        """Serve until the connection ends; call it in the main thread.

        Args:
            arrived: the messages that have come before.

        Returns:
            `CLOSED` when the client closed the connection, `LOST` when it was lost.
        """
        self._fork_guard.install()
        for number in (CANCEL_SIGNAL, signal.SIGINT):
            signal.signal(number, self._on_signal)
        self._fork_guard.start_follower()
        with self._turn:
            for message in arrived:
                self._deliver(message)
            self._link.receiver.deliver(self._deliver)
        self._serve(_MAX_NESTED_HANDLERS)
        return self._outcome or LOST

    def _serve(self, level: int) -> None:
        """Serve, whatever signal handlers raise between two calls.

        An exception that comes while one level deals with another is caught by the level above.
        """
        while self._outcome is None:
            try:
                if level:
                    self._serve(level - 1)
                else:
                    self._run_calls()
            except BaseException as error:
                self._note_interruption(error)

    def _note_interruption(self, error: BaseException) -> None:
        main = self._executor.main
        if main.can_be_interrupted:
            main.interruption = (main.current_call, error)
        elif self._outcome is None:
            report_briefly(error)
        self._channel.release_leaked()
        self._turn.release_leaked()

    def _run_calls(self) -> None:
        self._executor.finish_main()
        main, queue = self._executor.main, self._executor.main_queue
        while self._outcome is None:
            if not queue:
                with self._turn:
                    if not queue and self._outcome is None:
                        self._receive(True)
                continue
            request = queue[0]
            # In this order: a follower that falls asleep just now looks at the current call once more.
            main.current_call = request.request
            if self._follower.is_asleep:
                self._fork_guard.wake_follower()
            # After the line that sets it: a thread that ends the session meanwhile interrupts the call, or
            # the call is not begun.
            if self._outcome is None:
                main.serve(request)
            main.current_call = 0
            queue.popleft()
            if lock_held():
                free_import_lock()

    def _read_for_main(self, timeout: float) -> bool:
        """Read in the main thread's stead, see `Follower`."""
        readable, _ = wait(self._transport.fileno(), -1, timeout)
        if readable and self._outcome is None and self._turn.acquire(False):
            try:
                self._receive(False)
            finally:
                self._turn.release()
        return self._outcome is None

    def _deliver(self, message: Message) -> None:
        if message.releases:
            self._executor.release_objects(message)
        if message.kind in CALLS:
            self._deliver_call(message)
        elif message.kind == m.STOP_THREAD:
            self._executor.stop_thread(message.thread)
        elif message.kind == m.CANCEL:
            self._executor.cancel(message.request)
        else:
            self._deliver_other(message)

    def _describe(self, number: int) -> bytes:
        return m.STARTED if self._executor.is_running(number) else b""

    def _deliver_first_call(self, message: Message) -> None:
        try:
            self._executor.runner = self._make_runner()
        except BaseException as error:  # without a runner no call could even fail
            report(error)
            self._end(LOST)
        else:
            self._deliver_call = self._executor.deliver
            self._executor.deliver(message)

    def _give_up(self) -> None:
        self._end(LOST)

    def _when_ended(self, outcome: str) -> None:
        # Let a call that the main thread is in end by itself if it can: its `finally` blocks run.
        # The guardian does not wait for long.
        self._executor.main.is_abandoned = outcome == LOST
        if self._executor.main.can_be_interrupted:
            interrupt_main_thread()

    def _on_signal(self, number: int, frame: Optional[FrameType]) -> None:
        """Interrupt the user's code, and only that: between calls there is nothing to interrupt.

        The signal to cancel a call may be late: it ends no other call.
        """
        main = self._executor.main
        if number == CANCEL_SIGNAL and main.has_cancel_signal and self._outcome is None:
            main.has_cancel_signal = False
            main.raise_if_cancelled()
        elif number == signal.SIGINT and main.can_be_interrupted:
            raise KeyboardInterrupt
