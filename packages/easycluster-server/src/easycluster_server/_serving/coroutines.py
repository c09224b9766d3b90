"""Calls of coroutine functions: the coroutine runs to its end in the thread of the call."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from easycluster_protocol._types import Value


class _Loops(threading.local):
    """The event loop of each thread that has run a coroutine."""

    loop: Any = None


_loops = _Loops()


def run_coroutine(coroutine: Any) -> Value:
    """Run a coroutine to its end, and return its value.

    Each thread keeps its event loop from call to call: what one coroutine has made, as a connection or a
    lock, works in the next one. Tasks that are left over go on only while a coroutine runs.

    Raises:
        RuntimeError: an event loop is running in this thread.
    """
    if asyncio._get_running_loop() is not None:
        coroutine.close()
        raise RuntimeError(
            "the call returned a coroutine, which cannot be run here: an event loop is running in this thread"
            "; give the call a threadid of its own"
        )
    loop = _loops.loop
    if loop is None or loop.is_closed():
        loop = _loops.loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)  # for libraries that look for it
    task = loop.create_task(coroutine)
    try:
        return loop.run_until_complete(task)
    finally:
        if not task.done():  # an interrupt, as when the client has gone
            task.cancel()
            loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
