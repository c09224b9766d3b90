"""The law of interrupts, and the idioms that keep it, each under one name.

**An exception may come between any two bytecodes of the main thread**, because a signal handler may raise. It
must lose nothing, do nothing twice, and leave nothing half done. (Cancelling calls will bring the same to
other threads.) CPython 3.10 and newer run handlers only after calls, at the beginning of functions and at the
end of loops, older ones nearly anywhere; but none runs in the middle of a C call. Therefore:

- A step is made and noted by one C call: ``notes.extend(map(step, arguments))``.
- State is one tuple or one value, and is replaced in one assignment when a step is complete. A step that was
  cut short is made again, with the same effect.
- A lock is taken and noted by one C call, inside the ``try`` whose ``finally`` releases it. ``with lock``
  does the same, but can only wait for ever. A context manager written in Python could not do it: a handler
  may raise when its ``__enter__`` has the lock and has not returned yet, or before the first bytecode of its
  ``__exit__``. So `OwnedLock.take` leaves the ``finally`` to its caller.
- Threads are not kept apart by Python code: the methods of `threading.Thread`, `Event` and `Condition`, and
  of `queue.Queue`, leave a lock taken for good when a handler raises in the middle of them.

For the bytes of a connection `easycluster_protocol._wire.receiver` and `sender` keep the same law.
"""

from __future__ import annotations

import _thread
from typing import TYPE_CHECKING, Any, Callable, Dict, List

if TYPE_CHECKING:
    from typing import TypeVar

    T = TypeVar("T")

#: Whether the calling thread has a lock. This has no public name; `threading.Condition` uses it as well.
_is_owned: Callable[[Any], bool] = vars(_thread.RLock)["_is_owned"]


# For type checkers its base is final; it is not.
class OwnedLock(_thread.RLock):  # type: ignore[misc]  # pyright: ignore[reportGeneralTypeIssues]
    """A lock that knows its owner, so a signal handler can see whether its own thread has it.

    Such a lock can be taken twice by its owner; our code never does that.
    """

    __slots__ = ()

    #: Whether the calling thread has the lock.
    is_mine = _is_owned

    def take(self, held: List[bool], seconds: float = 0) -> bool:
        """Take the lock, and note in ``held`` that this thread has it; return whether it has.

        Use it so::

            held: List[bool] = []
            try:
                if lock.take(held, seconds):
                    ...
            finally:
                if held:
                    lock.release()

        Args:
            held: an empty list.
            seconds: how long to wait for another thread that has the lock.
        """
        held.extend(filter(None, map(self.acquire, (True,), (seconds,))))
        return bool(held)

    def release_leaked(self) -> None:
        """Give the lock back if this thread has it; call it where this thread is not using it.

        Before Python 3.10 a signal handler can raise between the body of a ``with`` and its end.
        """
        while self.is_mine():
            self.release()


class Gate:
    """Where one thread waits until another lets it through. A gate is closed at first.

    It closes behind the thread that it lets through. The gate may have been opened more than once, or long
    ago, so a thread that has passed looks for itself whether its wait is over, and waits again if it is not.
    A thread that was interrupted while it waited looks first, too: it may have passed the gate.
    """

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock = _thread.allocate_lock()
        self._lock.acquire()

    def open(self) -> None:
        """Let one thread through: the one that waits, or the next."""
        try:
            self._lock.release()
        except RuntimeError:  # it is open
            pass

    def wait(self, seconds: float = -1) -> bool:
        """Wait until the gate is open, and pass; return False when the time is over.

        Args:
            seconds: how long to wait; -1: for ever.
        """
        return self._lock.acquire(True, seconds)


class FirstOf:
    """A place for one value, which the first thread sets for good."""

    __slots__ = ("_cell",)

    def __init__(self) -> None:
        self._cell: Dict[int, Any] = {}

    def set(self, value: T) -> T:
        """Set the value unless it is set; return the one that is set now.

        A thread that was interrupted in here may set its value again.
        """
        first: T = self._cell.setdefault(0, value)
        return first
