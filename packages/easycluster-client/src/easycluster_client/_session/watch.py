"""The watch on which the background thread of a `ThreadedClient` sleeps until the connection has something to
read or another thread wakes it.

While a caller reads for itself the watch is disarmed, so an answer wakes that caller and no other
thread. Disarming and arming are one C call each (a system call of less than a microsecond). Python runs no
signal handler between the end of a ``try`` and such a call, see `ThreadedSession._receive`.

Ownership: the descriptors live as long as anything holds the watch. A finaliser that wakes it, in any
thread, can therefore never write to a descriptor that has been closed and opened for something else.
"""

from __future__ import annotations

import os
import select
from collections.abc import Callable
from functools import partial

from easycluster_server._system.masters import Wakeup, make_epoll, wait_for_any


class Watch:
    """Waits for bytes of a connection, while it is armed, and for `wake`.

    The watch is disarmed at first, and whenever it has reported bytes.

    Args:
        descriptor: the descriptor of the connection.

    Attributes:
        arm: from now on report bytes.
        disarm: report no bytes.
        rouse: report at once, whether there are bytes or not.
    """

    arm: Callable[[], object]
    disarm: Callable[[], object]
    rouse: Callable[[], object]

    def __init__(self, descriptor: int) -> None:
        self._owner = os.getpid()
        self._wakeup = Wakeup()
        self._reading = self._wakeup.fileno()
        self._watch(descriptor)

    def _watch(self, descriptor: int) -> None:
        self._epoll = make_epoll()
        self._epoll.register(self._reading, select.EPOLLIN)
        # Without ONESHOT a connection that hangs up is reported even when nothing is asked for.
        self._epoll.register(descriptor, select.EPOLLONESHOT)
        modify = partial(self._epoll.modify, descriptor)
        self.arm = partial(modify, select.EPOLLIN | select.EPOLLONESHOT)
        self.disarm = partial(modify, select.EPOLLONESHOT)
        self.rouse = partial(modify, select.EPOLLIN | select.EPOLLOUT | select.EPOLLONESHOT)

    def wake(self, _: object = None) -> None:
        """End `wait`, or the next one. Never waits and takes no lock, so finalisers may call it."""
        if self._owner == os.getpid():
            self._wakeup.wake()

    def wait(self, timeout: float | None) -> bool:
        """Wait until another thread wakes this one or bytes come; return whether bytes were reported.

        Args:
            timeout: how long to wait, in seconds; None: for ever.
        """
        ready = [descriptor for descriptor, _ in self._epoll.poll(timeout)]
        return self._take_wakes(ready)

    def _take_wakes(self, ready: list[int]) -> bool:
        if self._reading in ready:
            ready.remove(self._reading)
            self._wakeup.drain()
        return bool(ready)

    def close(self) -> None:
        """Close the descriptors, as in a forked process; otherwise they are closed with the last holder."""
        self._close_waiting()
        wakeup = vars(self).get("_wakeup")
        if wakeup is not None:
            wakeup.close()

    def _close_waiting(self) -> None:
        epoll = vars(self).get("_epoll")
        if epoll is not None:
            epoll.close()

    def __del__(self) -> None:
        self.close()


class NoWatch(Watch):
    """Takes the place of a watch whose connection has ended, so that the descriptors can be closed."""

    def __init__(self) -> None:
        self._owner = 0  # no process has this id: it never wakes anything
        self.arm = self.disarm = self.rouse = bool


class PollWatch(Watch):
    """A watch for systems without epoll: arming it wakes the thread, which costs more."""

    def _watch(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._is_armed = False
        self._is_roused = False
        self._is_asleep = False

    def arm(self) -> None:
        self._is_armed = True
        if self._is_asleep:
            self.wake()

    def disarm(self) -> None:
        self._is_armed = False

    def rouse(self) -> None:
        self._is_roused = True
        self.wake()

    def wait(self, timeout: float | None) -> bool:
        self._is_asleep = True  # first: a thread that arms the watch after this line wakes this thread
        watched = (self._reading, self._descriptor) if self._is_armed else (self._reading,)
        ready = wait_for_any(watched, timeout)
        self._is_asleep = False
        reported = self._take_wakes(ready)
        if reported or self._is_roused:
            self._is_armed = self._is_roused = False
            return True
        return False

    def _close_waiting(self) -> None:
        pass


def new_watch(descriptor: int) -> Watch:
    """Return the best watch that the system offers."""
    return (PollWatch if make_epoll is None else Watch)(descriptor)
