"""Exceptions that one thread raises in another."""

from __future__ import annotations

import threading

from easycluster_server._serving.raising import raise_in_thread
from helpers.waiting import PATIENCE, wait_until


class Ended(BaseException):
    """Ends a thread."""


def test_exception_in_another_thread() -> None:
    """The other thread gets the exception while it runs Python code."""
    caught: list[str] = []

    def run() -> None:
        try:
            wait_until(lambda: False)
        except Ended:
            caught.append("ended")

    thread = threading.Thread(target=run)
    thread.start()
    raise_in_thread(thread.ident or 0, Ended)
    thread.join(PATIENCE)

    assert caught == ["ended"]
