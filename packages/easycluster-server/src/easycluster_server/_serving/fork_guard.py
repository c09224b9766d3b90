"""Makes ``os.fork`` in user code safe: none of our threads runs meanwhile, and the child has no connection.

The hooks of a fork are our functions that Python calls in the forking thread. A signal handler that
raises in the middle of one cuts it short, and Python only prints that. So a thread may stay noted as forking,
or the follower stay stopped, although the fork is over; the main thread puts both right when its next call
begins.
"""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING, Set

from easycluster_server._system import call_at_fork

if TYPE_CHECKING:
    import signal

    from easycluster_server._io.transport import Transport

    from .follower import Follower
else:
    import _signal as signal  # the other half takes 3 ms to import, and is not needed

#: The longest wait until the kernel forgets a thread that has ended, and the time between two looks; seconds.
_THREAD_END_TIMEOUT = 0.05
_THREAD_END_INTERVAL = 0.0005


class ForkGuard:
    """Stops the follower of a session while this process is forked, and starts it again.

    Args:
        follower: the follower.
        transport: leads to the connection, which a child closes.
    """

    def __init__(self, follower: Follower, transport: Transport) -> None:
        self._follower = follower
        self._transport = transport
        #: The threads that are in the middle of a fork.
        self._forking: Set[int] = set()
        self._lock = threading.RLock()
        self._is_child = False
        self._pid = os.getpid()

    def install(self) -> None:
        """Have Python call the hooks from now on, for ever."""
        # Before Python 3.7 nobody is told: an answer that the child would send is stopped by its process id.
        call_at_fork(self._after_fork_in_child, self._before_fork, self._after_fork_in_parent)

    def wake_follower(self) -> None:
        """Wake the follower, or start it if a fork has left it stopped.

        Call it where this thread is not in the middle of a fork.
        """
        if self._follower.is_running:
            self._follower.wake()
            return
        with self._lock:
            self._forking.discard(threading.get_ident())
            if not self._forking:
                self.start_follower()

    def start_follower(self) -> None:
        """Start the follower. If the system has no more threads, the next call tries that again."""
        try:
            self._follower.start()
        except RuntimeError:
            pass

    def _before_fork(self) -> None:
        if os.getpid() == self._pid:
            with self._lock:
                self._forking.add(threading.get_ident())
                threads = _count_threads()
                if self._follower.stop():
                    _wait_for_thread_count(threads - 1)

    def _after_fork_in_parent(self) -> None:
        if os.getpid() == self._pid:
            with self._lock:
                self._forking.discard(threading.get_ident())
                if not self._forking:
                    self.start_follower()

    def _after_fork_in_child(self) -> None:
        if not self._is_child:
            self._is_child = True
            self._transport.close()
            signal.signal(signal.SIGINT, signal.default_int_handler)


def _count_threads() -> int:
    """Return how many threads of this process the kernel counts; 0 where it does not say."""
    try:
        return len(os.listdir("/proc/self/task"))
    except OSError:
        return 0


def _wait_for_thread_count(expected: int) -> None:
    """Wait for a moment until the kernel too counts no more threads than that.

    A joined thread has left Python but perhaps not the kernel, and Python 3.12 warns about forking when the
    kernel counts more than one.
    """
    deadline = time.monotonic() + _THREAD_END_TIMEOUT
    while _count_threads() > expected >= 0 and time.monotonic() < deadline:
        time.sleep(_THREAD_END_INTERVAL)
