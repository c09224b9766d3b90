"""A second thread that does one thing after the other, as the test tells it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from helpers.waiting import PATIENCE

T = TypeVar("T")


class OtherThread:
    """A thread beside the test's.

    Attributes:
        ident: its identity.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1)
        self.ident = self.run(threading.get_ident)

    def run(self, function: Callable[..., T], *arguments: Any) -> T:
        """Call something there, and return its value when it has returned."""
        return self.start(function, *arguments).result(PATIENCE)

    def start(self, function: Callable[..., T], *arguments: Any) -> Future[T]:
        """Begin to call something there; it waits until earlier ones have returned."""
        return self._pool.submit(function, *arguments)

    def close(self) -> None:
        """End it."""
        self._pool.shutdown()
