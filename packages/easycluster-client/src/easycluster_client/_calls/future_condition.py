"""The condition of a response, as `concurrent.futures.wait` and `as_completed` want it.

They take the conditions of all futures, look at their states, add a waiter to each, and give the conditions
back: all that they need is that no state changes meanwhile. When a thread has read an answer while another
holds the condition, the holder tells of the answer when it gives the condition back: it may be waiting for
the reader, so a reader never waits.
"""

from __future__ import annotations

from typing import Protocol

from easycluster_server._io.interrupts import OwnedLock


class Response(Protocol):
    """A response, as far as its condition is concerned."""

    @property
    def has_failed(self) -> bool:
        """Whether the answer is an error."""
        ...


class Waiter(Protocol):
    """What the functions of `concurrent.futures` have told of an answer."""

    def add_result(self, future: Response) -> object:
        """Take note of a response that has a value."""

    def add_exception(self, future: Response) -> object:
        """Take note of a response that has an error."""


class FutureCondition:
    """The condition of one response.

    Attributes:
        waiters: told when the answer is there; the functions of `concurrent.futures` add theirs.
        finished: whether all have been told. It changes once, while no thread holds the condition.
    """

    def __init__(self) -> None:
        self.waiters: list[Waiter] = []
        self.finished = False
        self._told: list[Waiter] = []
        #: The response when it has its answer, until all have been told.
        self._answered: Response | None = None
        # Such a lock knows its owner, and a thread that holds the condition may read.
        self._lock = OwnedLock()

    def acquire(self) -> bool:
        """Take the condition."""
        return self._lock.acquire()

    def release(self) -> None:
        """Give the condition back."""
        self._lock.release()
        self._tell()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *error: object) -> None:
        self.release()

    def finish(self, response: Response) -> None:
        """Tell the waiters, perhaps a little later. Called when the answer is there, perhaps more than
        once."""
        # Before looking whether the condition is held: its holder looks after giving it back.
        self._answered = response
        self._tell()

    def _tell(self) -> None:
        while self._answered is not None and not self._lock.is_mine():
            held: list[bool] = []
            try:
                if not self._lock.take(held):
                    return
                self._tell_now(self._answered)
            finally:
                if held:
                    self._lock.release()

    def _tell_now(self, response: Response | None) -> None:
        # After an interrupt in here this goes on where it was, when the answer is delivered again.
        if response is not None and not self.finished:
            for waiter in tuple(self.waiters):
                if not any(waiter is each for each in self._told):
                    (waiter.add_exception if response.has_failed else waiter.add_result)(response)
                    self._told.append(waiter)
        self.finished = True
        self._told = []
        self._answered = None
