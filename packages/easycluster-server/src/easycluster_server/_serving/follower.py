"""The follower: takes over the reading while a call of the main thread lasts.

The main thread reads a request and runs it, without handing anything to another thread. Only when
that call lasts does somebody else have to read on: keep-alives, calls for other threads, the end
of the connection. The follower looks every `TICK` whether the main thread is still in the call it
was in a tick before, so short calls pay nothing for it; after `IDLE_TICKS` without any call it
sleeps until the main thread wakes it.

It waits for bytes without holding the turn to read and takes the turn only while it receives what
is there, so the main thread that comes back from its call never waits for long.
"""

from __future__ import annotations

import _thread
import time
from typing import Any, Callable, List, Tuple

from easycluster_server._io.interrupts import Gate

#: Seconds. Calls that last longer are followed; a shorter tick costs more while calls run.
TICK = 0.005

#: Seconds for which the follower waits for bytes before it looks whether the call has ended.
WATCH = 0.01

IDLE_TICKS = 5

#: Seconds between two looks whether the thread has ended.
_LOOK = 0.0005


class Follower:
    """A thread that reads while the main thread cannot.

    Args:
        busy: returns the id of the call that the main thread is in, or 0.
        read: waits for bytes for at most so many seconds and deals with those that came; returns
            False when the connection has ended.
    """

    def __init__(self, busy: Callable[[], int], read: Callable[[float], bool]) -> None:
        self._busy = busy
        self._read = read
        #: Whether it needs `wake`. Only the thread itself writes it, so that no interrupt of
        #: another thread can leave it asleep and nobody aware of it.
        self.asleep = True
        self._gate = Gate()
        self._stopping = False
        #: The thread, and the lock that it holds until its end. No `threading.Thread`, no `Event`: a signal
        #: handler that raises in the middle of their methods leaves their locks taken for ever.
        self._threads: List[Tuple[int, Any]] = []

    @property
    def runs(self) -> bool:
        """Whether it was started and not stopped."""
        return not self._stopping and any(ended.locked() for _, ended in self._threads)

    def start(self) -> None:
        """Start the thread, unless it runs."""
        if not self.runs:
            self._wait_for_end()
            self._stopping = False
            ended = _thread.allocate_lock()
            ended.acquire()
            # One C call: no signal handler can come between starting the thread and noting it.
            self._threads.extend(zip(map(_thread.start_new_thread, (self._run,), ((ended,),)), (ended,)))

    def stop(self) -> bool:
        """Stop the thread and wait for its end, unless it is the calling one; return whether it ran.
        `start` starts it again."""
        ran = self.runs
        self._stopping = True
        self._wait_for_end()
        return ran

    def _wait_for_end(self) -> None:
        for number, ended in self._threads:
            while ended.locked():
                self._gate.open()
                if number == _thread.get_ident():
                    return
                time.sleep(_LOOK)
        self._threads.clear()

    def wake(self) -> None:
        """Say that the main thread has begun a call; needed only while `asleep`."""
        self._gate.open()

    def _run(self, ended: Any) -> None:
        try:
            while not self._stopping:
                self.asleep = False
                self._watch_until_idle()
                self.asleep = True
                # Who began a call before the line above did not wake us.
                if not self._busy() and not self._stopping:
                    self._gate.wait()
        finally:
            self.asleep = True
            ended.release()

    def _watch_until_idle(self) -> None:
        idle = 0
        before = 0
        while idle < IDLE_TICKS:
            self._gate.wait(TICK)
            if self._stopping:
                return
            call = self._busy()
            if call and call == before:
                while self._busy() == call and not self._stopping:
                    if not self._read(WATCH):
                        return
                call = 0
            idle = 0 if call else idle + 1
            before = call
