"""The follower: takes over the reading while a call of the main thread lasts.

The main thread reads a request and runs it, without handing anything to another thread. Only when that call
lasts does another thread have to read on: keep-alives, calls for other threads, the end of the connection.
The follower looks every `TICK` whether the main thread is still in the call it was in a tick before, so short
calls pay nothing for it. After `IDLE_TICKS` without any call it sleeps until the main thread wakes it.

It waits for bytes without holding the turn to read, and takes the turn only while it receives the bytes that
have come, so the main thread that comes back from its call never waits for long.
"""

from __future__ import annotations

import _thread
import time
from typing import TYPE_CHECKING, Callable, List, Tuple

from easycluster_server._io.interrupts import Gate

if TYPE_CHECKING:
    from _thread import LockType

#: Seconds between two looks at the main thread. Longer calls are followed; a shorter tick costs more while
#: calls run.
TICK = 0.005

#: Seconds for which the follower waits for bytes before it looks whether the call has ended.
READ_TIMEOUT = 0.01

#: Ticks without a call after which it goes to sleep.
IDLE_TICKS = 5

#: Seconds between two looks whether the thread has ended.
_END_INTERVAL = 0.0005


class Follower:
    """A thread that reads while the main thread cannot.

    Args:
        get_current_call: returns the number of the call that the main thread is in, or 0.
        read: waits for bytes for at most so many seconds and deals with the bytes that come; returns False
            when the connection has ended.

    Attributes:
        is_asleep: whether it needs `wake`. Only its own thread writes it, so that no interrupt of another
            thread can leave it asleep unnoticed.
    """

    def __init__(self, get_current_call: Callable[[], int], read: Callable[[float], bool]) -> None:
        self._get_current_call = get_current_call
        self._read = read
        self.is_asleep = True
        self._gate = Gate()
        self._stopping = False
        #: The thread, and the lock that it holds until its end. It is no `threading.Thread`, and the lock no
        #: `Event`: a signal handler that raises in the middle of their methods leaves their locks taken for
        #: good.
        self._threads: List[Tuple[int, LockType]] = []

    @property
    def is_running(self) -> bool:
        """Whether it was started and not stopped."""
        return not self._stopping and any(ended.locked() for _, ended in self._threads)

    def start(self) -> None:
        """Start the thread, unless it runs."""
        if not self.is_running:
            self._wait_for_end()
            self._stopping = False
            ended = _thread.allocate_lock()
            ended.acquire()
            # One C call: no signal handler can come between starting the thread and noting it.
            self._threads.extend(zip(map(_thread.start_new_thread, (self._run,), ((ended,),)), (ended,)))

    def stop(self) -> bool:
        """Stop the thread and wait for its end, unless it is the calling one; `start` starts it again.

        Returns:
            Whether it ran.
        """
        was_running = self.is_running
        self._stopping = True
        self._wait_for_end()
        return was_running

    def _wait_for_end(self) -> None:
        for number, ended in self._threads:
            while ended.locked():
                self._gate.open()
                if number == _thread.get_ident():
                    return
                time.sleep(_END_INTERVAL)
        self._threads.clear()

    def wake(self) -> None:
        """Say that the main thread has begun a call; that is needed only while `is_asleep`."""
        self._gate.open()

    def _run(self, ended: LockType) -> None:
        try:
            while not self._stopping:
                self.is_asleep = False
                self._follow_until_idle()
                self.is_asleep = True
                # A main thread that began a call before the line above did not wake us.
                if not self._get_current_call() and not self._stopping:
                    self._gate.wait()
        finally:
            self.is_asleep = True
            ended.release()

    def _follow_until_idle(self) -> None:
        idle_ticks = 0
        call_before = 0
        while idle_ticks < IDLE_TICKS:
            self._gate.wait(TICK)
            if self._stopping:
                return
            call = self._get_current_call()
            if call and call == call_before:
                while self._get_current_call() == call and not self._stopping:
                    if not self._read(READ_TIMEOUT):
                        return
                call = 0
            idle_ticks = 0 if call else idle_ticks + 1
            call_before = call
