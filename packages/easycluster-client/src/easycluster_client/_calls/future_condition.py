"""The condition of a response, as `concurrent.futures.wait` and `as_completed` expect it.

These functions take the conditions of all futures, look at their states, add a waiter to each, and give the
conditions back: all that they need is that no state changes meanwhile. When a thread has read an answer while
another thread holds the condition, the holder notifies the waiters when it gives the condition back. The
holder may be waiting for the reader, so a reader never waits for the holder.
"""

from __future__ import annotations

from typing import Protocol

from easycluster_server._io.interrupts import OwnedLock


class Response(Protocol):
    """A response, as far as its condition is concerned."""

    @property
    def call_has_failed(self) -> bool:
        """Whether the answer is an error."""
        ...


class Waiter(Protocol):
    """The object by which a function of `concurrent.futures` learns of answers."""

    def add_result(self, future: Response) -> object:
        """Take note of a response that has a value."""

    def add_exception(self, future: Response) -> object:
        """Take note of a response that has an error."""


class FutureCondition:
    """The condition of one response.

    Attributes:
        waiters: notified when the answer is there; the functions of `concurrent.futures` add them.
        is_finished: whether all waiters have been notified. It changes once, while no thread holds the
            condition.
    """

    def __init__(self) -> None:
        self.waiters: list[Waiter] = []
        self.is_finished = False
        self._notified: list[Waiter] = []
        #: The response from the time when it has its answer until all waiters have been notified.
        self._answered: Response | None = None
        # Such a lock knows its owner, and a thread that holds the condition may read.
        self._lock = OwnedLock()

    def acquire(self) -> bool:
        """Take the condition."""
        return self._lock.acquire()

    def release(self) -> None:
        """Give the condition back."""
        self._lock.release()
        self._notify()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *error: object) -> None:
        self.release()

    def finish(self, response: Response) -> None:
        """Notify the waiters, perhaps a little later; called when the answer is there, perhaps repeatedly."""
        # First of all: a thread that holds the condition checks this after giving it back.
        self._answered = response
        self._notify()

    def _notify(self) -> None:
        while self._answered is not None and not self._lock.is_mine():
            held: list[bool] = []
            try:
                if not self._lock.take(held):
                    return
                self._notify_now(self._answered)
            finally:
                if held:
                    self._lock.release()

    def _notify_now(self, response: Response | None) -> None:
        # After an interrupt in here this continues where it was, when the answer is delivered again.
        if response is not None and not self.is_finished:
            for waiter in tuple(self.waiters):
                if not any(waiter is each for each in self._notified):
                    (waiter.add_exception if response.call_has_failed else waiter.add_result)(response)
                    self._notified.append(waiter)
        self.is_finished = True
        self._notified = []
        self._answered = None
