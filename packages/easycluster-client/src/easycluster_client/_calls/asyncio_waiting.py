"""``await response``: a loop of asyncio reads the connection while somebody awaits an answer."""

from __future__ import annotations

import asyncio
import types
import weakref
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

from easycluster_client import _deadlines

if TYPE_CHECKING:
    from .response import NonblockingResponse

#: loop → descriptor → who reads it there. A loop knows one reader for each descriptor, and several
#: responses may be awaited at once.
_readers: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[int, _Reader]]
_readers = weakref.WeakKeyDictionary()


class _Reader:
    """Reads one connection whenever a loop sees that there is something to read."""

    def __init__(self, loop: asyncio.AbstractEventLoop, descriptor: int, response: Any) -> None:
        self.session = response._session
        self._calls = response.client._easycluster
        self._loop = loop
        self._descriptor = descriptor
        self._users = 0

    def enter(self) -> None:
        """Count one response more that is awaited."""
        if self._users == 0:
            # First away with a reader of an earlier connection whose descriptor had the same number:
            # the loop would take it for still registered with the kernel.
            self._loop.remove_reader(self._descriptor)
            self._loop.add_reader(self._descriptor, self.read)
        self._users += 1

    def leave(self) -> None:
        """Count one less; with the last one the reading ends."""
        self._users -= 1
        readers = _readers.get(self._loop, {})
        if self._users == 0 and readers.get(self._descriptor) is self:
            del readers[self._descriptor]
            self._loop.remove_reader(self._descriptor)

    def read(self) -> None:
        """Read what has come."""
        self.session.look()
        self._calls.run_completions(self.session)


def wait_in_loop(response: Any) -> Generator[Any, Any, Any]:
    """Wait for a response in the loop that runs; return its value, or raise as `wait` does."""
    if not response.done():
        yield from _wait(response, response._timeout)
    return response._result()


def call_in_loop(response: Any, fn: Callable[[Any], Any]) -> bool:
    """Call ``fn(response)`` in the loop that runs in this thread when the answer is there; until then the
    loop reads. Return whether there is one."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    tasks: dict[Any, Any] = response._tasks or {}
    response._tasks = tasks
    tasks[fn] = [*tasks.get(fn, ()), asyncio.ensure_future(_call_when_done(response, fn))]
    return True


async def _call_when_done(response: Any, fn: Callable[[Any], Any]) -> None:
    if not response.done():
        await _until_done(response)
    response._tasks.pop(fn, None)
    fn(response)


@types.coroutine
def _until_done(response: NonblockingResponse) -> Generator[Any, Any, None]:
    yield from _wait(response, None)


def _wait(response: NonblockingResponse, limit: float | None) -> Generator[Any, Any, None]:
    response._session.check_may_wait()
    loop = asyncio.get_running_loop()
    waiter: asyncio.Future[bool] = loop.create_future()

    def finish(in_time: bool) -> None:
        if not waiter.done():
            waiter.set_result(in_time)

    def tell(_: Any) -> None:
        # Called by whoever reads, which may be another thread.
        try:
            loop.call_soon_threadsafe(finish, True)
        except RuntimeError:  # the loop was closed
            pass

    timers: list[asyncio.TimerHandle] = []
    if limit is not None:
        ask_after = limit - _deadlines.time_to_ask(limit)
        timers.append(loop.call_later(ask_after, response._session.ask, response))
        timers.append(loop.call_later(limit, finish, False))
    response._watch(tell)
    reader = _enter(loop, response)
    try:
        yield from waiter
    finally:
        if reader is not None:
            reader.leave()
        response._unwatch(tell)
        for timer in timers:
            timer.cancel()
    if limit is not None and not response._done:
        raise response._too_late(limit)


def _enter(loop: asyncio.AbstractEventLoop, response: NonblockingResponse) -> _Reader | None:
    session = response._session
    descriptor = session.transport.fileno()
    if descriptor < 0 or session.error is not None:  # it was closed just now, so there is an answer
        return None
    readers = _readers.setdefault(loop, {})
    reader = readers.get(descriptor)
    if reader is None or reader.session is not session:
        reader = _Reader(loop, descriptor, response)
    try:
        reader.enter()
    except OSError:
        if session.error is None:
            raise
        return None  # another thread has closed it between the look above and here
    readers[descriptor] = reader
    return reader
