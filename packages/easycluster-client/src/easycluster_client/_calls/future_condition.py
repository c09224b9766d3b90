"""What `concurrent.futures.wait` and `as_completed` want of a response.

They take the conditions of all futures, look at their states, add a waiter to each, and give the conditions
back: that no state changes meanwhile is all that these are for. A thread that has read an answer while
somebody holds the condition leaves telling of it to that one, who may be waiting for the reader. So nobody
who reads ever waits.
"""

from __future__ import annotations

import threading
from typing import Any


class Standard:
    """The condition of one response.

    Attributes:
        waiters: whom to tell when the answer is there; the functions of `concurrent.futures` add theirs.
        finished: whether all have been told. It changes once, and while nobody holds the condition.
    """

    def __init__(self) -> None:
        self.waiters: list[Any] = []
        self.finished = False
        self._told: list[Any] = []
        #: The response when it has its answer, until all have been told.
        self._answered: Any = None
        # Reentrant, because such a lock knows its owner: a thread that holds the condition may read.
        self._lock: Any = threading.RLock()

    def acquire(self) -> bool:
        """Take the condition."""
        return bool(self._lock.acquire())

    def release(self) -> None:
        """Give the condition back."""
        self._lock.release()
        self._tell()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *error: object) -> None:
        self.release()

    def finish(self, response: Any) -> None:
        """Tell all who wait, perhaps a little later. Called with the answer, perhaps more than once."""
        # Before looking whether somebody holds the condition, who looks after giving it back.
        self._answered = response
        self._tell()

    def _tell(self) -> None:
        while self._answered is not None and not self._lock._is_owned():
            taken: list[bool] = []
            try:
                taken.extend(map(self._lock.acquire, (False,)))  # one C call, see `Channel.send_at_once`
                if not taken[0]:
                    return
                self._tell_now(self._answered)
            finally:
                if taken and taken[0]:
                    self._lock.release()

    def _tell_now(self, response: Any) -> None:
        # Who is interrupted in here goes on where that was when the answer is delivered again.
        if response is not None and not self.finished:
            for waiter in tuple(self.waiters):
                if not any(waiter is each for each in self._told):
                    (waiter.add_exception if response._failed else waiter.add_result)(response)
                    self._told.append(waiter)
        self.finished = True
        self._told = []
        self._answered = None
