"""One session, as the worker process sees it: reads requests, runs them, ends in order.

Who reads: the main thread, or the follower while a call of the main thread lasts; `_turn` is the
lock that says whose turn it is. Nothing of the user's runs while it is held.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from _imp import lock_held
from typing import TYPE_CHECKING, Any, Callable, Optional, Set

from easycluster_protocol._wire import messages as m
from easycluster_protocol._wire.link import Link
from easycluster_protocol._wire.messages import Message
from easycluster_protocol.errors import ProtocolError
from easycluster_server._io.channel import Channel
from easycluster_server._io.interrupts import FirstOf, OwnedLock
from easycluster_server._io.transport import EndOfStream, is_connection_error, wait
from easycluster_server._system.control import CLOSED, LOST
from easycluster_server._system.this_process import report, report_briefly

from .executor import Executor
from .follower import Follower
from .lazy import free_import_lock

if TYPE_CHECKING:
    import signal
else:
    import _signal as signal  # all that is needed of it: the other half takes 3 ms to import

if TYPE_CHECKING:
    from .calls import Caller

_CALLS = frozenset((m.CALL, m.INVOKE))

#: How many raising signal handlers may come one right upon the other between two calls.
_LEVELS = 8


class Session:
    """Serves one connection in this process.

    Args:
        link: the link, handshake done.
        transport: its transport.
        on_end: called when the connection has ended, with `CLOSED` or `LOST`; in any thread,
            perhaps twice with the same.
        make_caller: called once, when the first call has come; returns what executes calls.
        add_modules: takes modules that the client has sent; raises `Exception` if they are none.
    """

    def __init__(
        self,
        link: Link,
        transport: Any,
        on_end: Callable[[str], None],
        make_caller: Callable[[], Caller],
        add_modules: Callable[[Any], None],
    ) -> None:
        self._link = link
        self._transport = transport
        self._on_end = on_end
        self._channel = Channel(link, transport)
        self._executor = Executor(self._channel, self._lost)
        self._make_caller = make_caller
        self._add_modules = add_modules
        self._deliver_call: Callable[[Message], None] = self._deliver_first_call
        self._turn = OwnedLock()
        self._follower = Follower(self._busy, self._follow)
        self._ended: Optional[str] = None
        self._outcome = FirstOf()
        #: The threads that are in the middle of a fork.
        self._forking: Set[int] = set()
        self._fork_lock = threading.RLock()
        self._forked = False
        self._pid = os.getpid()

    def _busy(self) -> int:
        return self._executor.main.busy

    def serve(self) -> str:
        """Serve until the connection ends; call it in the main thread.

        Returns:
            `CLOSED` when the client closed the connection, `LOST` when it was lost.
        """
        self._guard_forks()
        signal.signal(signal.SIGINT, self._on_sigint)
        self._follower.start()
        with self._turn:
            self._link.receiver.deliver(self._deliver)
        self._serve(_LEVELS)
        return self._ended or LOST

    def _serve(self, level: int) -> None:
        """Serve, whatever signal handlers of the user's raise between two calls. What comes while
        one level deals with an exception, the level above catches."""
        while self._ended is None:
            try:
                if level:
                    self._serve(level - 1)
                else:
                    self._run()
            except BaseException as error:
                self._note_interruption(error)

    def _note_interruption(self, error: BaseException) -> None:
        main = self._executor.main
        if main.interruptible:
            main.interruption = (main.busy, error)
        elif self._ended is None:
            report_briefly(error)
        self._channel.release_leaked()
        self._turn.release_leaked()

    def _run(self) -> None:
        self._executor.finish_main()
        main, queue = self._executor.main, self._executor.main_queue
        while self._ended is None:
            if not queue:
                with self._turn:
                    if not queue and self._ended is None:
                        self._receive(True)
                continue
            request = queue[0]
            # In this order: a follower that falls asleep just now looks at `busy` once more.
            main.busy = request.request
            if self._follower.asleep:
                self._wake_follower()
            # After `busy` was set: who ends the session meanwhile interrupts the call, or it is not begun.
            if self._ended is None:
                main.serve(request)
            main.busy = 0
            queue.popleft()
            if lock_held():
                free_import_lock()

    def _wake_follower(self) -> None:
        if self._follower.runs:
            self._follower.wake()
            return
        # A signal handler that raises in the hooks of a fork cuts them short, and Python only prints that.
        with self._fork_lock:
            self._forking.discard(threading.get_ident())
            if not self._forking:
                try:
                    self._follower.start()
                except RuntimeError:  # the system has no more threads; the next call tries again
                    pass

    def _receive(self, block: bool) -> bool:
        try:
            return self._channel.receive(self._deliver, block)
        except EndOfStream:
            closed, _ = self._link.receive_eof()
            self._end(CLOSED if closed else LOST)
        except ProtocolError as error:
            if self._ended is None:
                sys.stderr.write(f"easycluster: {error}\n")
            self._end(LOST)
        except OSError as error:
            if not is_connection_error(error):
                raise
            self._end(LOST)
        return False

    def _follow(self, timeout: float) -> bool:
        """Read in the main thread's stead, see `Follower`."""
        readable, _ = wait(self._transport.fileno(), -1, timeout)
        if readable and self._ended is None and self._turn.acquire(False):
            try:
                self._receive(False)
            finally:
                self._turn.release()
        return self._ended is None

    def _deliver(self, message: Message) -> None:
        kind = message.kind
        if message.releases and "caller" in vars(self._executor):  # before a first call nothing was named
            self._executor.caller.objects.release(message)
        if kind in _CALLS:
            self._deliver_call(message)
        elif kind == m.PING:
            self._channel.post(Message(m.PONG, message.request))
        elif kind == m.STATUS_QUERY:
            running = self._executor.is_running(message.request)
            self._channel.post(Message(m.STATUS, message.request, m.STARTED if running else b""))
        elif kind == m.MODULES:
            self._supply(message)
        elif kind == m.STOP_THREAD:
            self._executor.stop_thread(message.thread)
        elif kind == m.CLOSE:
            self._end(CLOSED)
        # CANCEL, RELEASE, CREDIT and PONG: understood, and nothing to do yet.

    def _deliver_first_call(self, message: Message) -> None:
        try:
            self._executor.caller = self._make_caller()
        except BaseException as error:  # no call could even fail without it
            report(error)
            self._end(LOST)
        else:
            self._deliver_call = self._executor.deliver
            self._executor.deliver(message)

    def _supply(self, message: Message) -> None:
        try:
            if message.damage is not None:
                raise ValueError(f"modules that the client sent did not arrive: {message.damage}")
            self._add_modules(message.body)
        except Exception as error:  # whoever imports one of them gets an error
            sys.stderr.write(f"easycluster: {error}\n")

    def _lost(self) -> None:
        self._end(LOST)

    def _end(self, how: str) -> None:
        if self._ended is not None:
            return
        # Who comes first says how it ended; who was interrupted in here comes again.
        how = self._outcome.set(how)
        self._on_end(how)
        self._ended = how
        # Let a call that the main thread is in end by itself if it can: its `finally` blocks run.
        # The guardian does not wait for long.
        if self._executor.main.interruptible:
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    def _on_sigint(self, number: int, frame: Any) -> None:
        """Interrupt the user's code, and only that: between calls there is nothing to interrupt."""
        if self._executor.main.interruptible:
            raise KeyboardInterrupt

    def _guard_forks(self) -> None:
        """Make ``os.fork`` in the user's code safe: no thread of ours runs while it forks, and the
        child gives up the connection at once."""
        if sys.version_info < (3, 7):  # an answer that the child would send is stopped by its pid
            return
        os.register_at_fork(  # novm
            before=self._before_fork,
            after_in_parent=self._after_fork_in_parent,
            after_in_child=self._after_fork_in_child,
        )

    def _before_fork(self) -> None:
        if os.getpid() == self._pid:
            with self._fork_lock:
                self._forking.add(threading.get_ident())
                threads = _count_threads()
                if self._follower.stop():
                    _wait_for_threads_to_go(threads - 1)

    def _after_fork_in_parent(self) -> None:
        if os.getpid() == self._pid:
            with self._fork_lock:
                self._forking.discard(threading.get_ident())
                if not self._forking:
                    self._follower.start()

    def _after_fork_in_child(self) -> None:
        if not self._forked:
            self._forked = True
            self._transport.close()
            signal.signal(signal.SIGINT, signal.default_int_handler)


def _count_threads() -> int:
    """Return how many threads of this process the kernel counts; 0 where it does not say."""
    try:
        return len(os.listdir("/proc/self/task"))
    except OSError:
        return 0


def _wait_for_threads_to_go(expected: int) -> None:
    """Wait, for 50 ms at most, until the kernel too counts no more threads than that.

    A joined thread has left Python but perhaps not the kernel, and Python 3.12 warns about forking
    when the kernel counts more than one.
    """
    deadline = time.monotonic() + 0.05
    while _count_threads() > expected >= 0 and time.monotonic() < deadline:
        time.sleep(0.0005)
