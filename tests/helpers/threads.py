"""Doing something in another thread."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from helpers.waiting import PATIENCE

T = TypeVar("T")


def in_other_thread(function: Callable[..., T], *arguments: Any) -> T:
    """Return the result of a function that is called in another thread."""
    results: list[T] = []
    thread = threading.Thread(target=lambda: results.append(function(*arguments)))
    thread.start()
    thread.join(PATIENCE)
    (result,) = results
    return result


def in_background(function: Callable[[], object]) -> threading.Thread:
    """Call a function in another thread; return that, which has started."""
    thread = threading.Thread(target=function)
    thread.start()
    return thread
