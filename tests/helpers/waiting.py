"""Waiting for what other threads and processes do."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

#: Seconds after which something that should happen at once counts as never: the machine may be busy.
PATIENCE = 30.0


def wait_until(condition: Callable[[], T], seconds: float = PATIENCE, what: str = "the condition") -> T:
    """Wait until ``condition()`` is true and return its value.

    Args:
        condition: asked again and again.
        seconds: how long to go on asking.
        what: what is waited for, for the message.

    Raises:
        AssertionError: it did not become true.
    """
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:g} s in vain for {what}; last value: {value!r}")
        time.sleep(0.005)  # noqa: TID251 -- what is awaited here sends no event; tests call this function
    return value
