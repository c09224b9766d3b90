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

import threading
from typing import Callable

#: Seconds. Calls that last longer are followed; a shorter tick costs more while calls run.
TICK = 0.005

#: Seconds for which the follower waits for bytes before it looks whether the call has ended.
WATCH = 0.01

IDLE_TICKS = 5


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
        self.asleep = False
        self._gate = threading.Lock()
        self._gate.acquire()
        self._stopping = threading.Event()
        self._stopping.set()
        self._thread = self._new_thread()

    def _new_thread(self) -> threading.Thread:
        return threading.Thread(target=self._run, name="easycluster-follower", daemon=True)

    def start(self) -> None:
        """Start the thread, unless it runs."""
        if self._stopping.is_set() or not self._thread.is_alive():
            if self._thread.is_alive():
                self._thread.join()
            self._thread = self._new_thread()
            self._stopping.clear()
            self._thread.start()

    def stop(self) -> bool:
        """Stop the thread and wait for its end, unless it is the calling one; return whether it ran.
        `start` starts it again."""
        self._stopping.set()
        self._open_gate()
        ran = self._thread.is_alive()
        if ran and self._thread is not threading.current_thread():
            self._thread.join()
        return ran

    def wake(self) -> None:
        """Say that the main thread has begun a call; needed only while `asleep`."""
        self._open_gate()

    def _open_gate(self) -> None:
        # A gate that is opened once too often costs one round of looking, and nothing else.
        if self._gate.locked():
            try:
                self._gate.release()
            except RuntimeError:  # somebody else opened it just now
                pass

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._watch_until_idle()
            self.asleep = True
            # Who began a call before the line above did not wake us.
            if not self._busy() and not self._stopping.is_set():
                self._gate.acquire()
            self.asleep = False

    def _watch_until_idle(self) -> None:
        idle = 0
        before = 0
        while idle < IDLE_TICKS:
            if self._stopping.wait(TICK):
                return
            call = self._busy()
            if call and call == before:
                while self._busy() == call and not self._stopping.is_set():
                    if not self._read(WATCH):
                        return
                call = 0
            idle = 0 if call else idle + 1
            before = call
