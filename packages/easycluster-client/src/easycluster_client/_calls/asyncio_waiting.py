"""``await response``: a loop of asyncio reads the connection while somebody awaits an answer."""

from __future__ import annotations

import asyncio
import weakref
from typing import TYPE_CHECKING

from easycluster_client._deadlines import query_margin

if TYPE_CHECKING:
    from easycluster_client._session.pending import PendingCall
    from easycluster_client._session.session import ClientSession

    from .owner import Calls

#: Loop → descriptor → its reader there. A loop knows one reader for each descriptor, and several
#: responses may be awaited at once.
_readers: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[int, _Reader]]
_readers = weakref.WeakKeyDictionary()


class _Reader:
    """Reads one connection whenever a loop sees that there is something to read."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, descriptor: int, session: ClientSession, calls: Calls
    ) -> None:
        self.session = session
        self._calls = calls
        self._loop = loop
        self._descriptor = descriptor
        self._users = 0

    def enter(self) -> None:
        """Count one more response that is awaited."""
        if self._users == 0:
            # First away with a reader of an earlier connection whose descriptor had the same number:
            # the loop would take it for still registered with the kernel.
            self._loop.remove_reader(self._descriptor)
            self._loop.add_reader(self._descriptor, self.read)
        self._users += 1

    def leave(self) -> None:
        """Count one response less; with the last one the reading ends."""
        self._users -= 1
        readers = _readers.get(self._loop, {})
        if self._users == 0 and readers.get(self._descriptor) is self:
            del readers[self._descriptor]
            self._loop.remove_reader(self._descriptor)

    def read(self) -> None:
        """Read what has come."""
        self.session.receive_available()
        self._calls.run_completions(self.session)


def find_running_loop() -> asyncio.AbstractEventLoop | None:
    """Return the loop that runs in this thread, or None."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


async def wait_for_call(call: PendingCall, session: ClientSession, calls: Calls, limit: float | None) -> None:
    """Wait in the loop that runs until the call has its answer, or the time is over.

    Args:
        call: the call.
        session: the connection on which it was sent.
        calls: the maker of the client's calls.
        limit: how long to wait, in seconds; None: for ever. Shortly before its end the server is asked
            whether it has begun the call.
    """
    session.check_may_wait()
    loop = asyncio.get_running_loop()
    waiter: asyncio.Future[None] = loop.create_future()

    def finish() -> None:
        if not waiter.done():
            waiter.set_result(None)

    def tell(_: PendingCall) -> None:
        # Called by the thread that reads, which may be another one.
        try:
            loop.call_soon_threadsafe(finish)
        except RuntimeError:  # the loop was closed
            pass

    timers: list[asyncio.TimerHandle] = []
    if limit is not None:
        timers.append(loop.call_later(limit - query_margin(limit), session.query_status, call))
        timers.append(loop.call_later(limit, finish))
    call.add_watcher(tell)
    reader = _enter(loop, session, calls)
    try:
        await waiter
    finally:
        if reader is not None:
            reader.leave()
        call.remove_watcher(tell)
        for timer in timers:
            timer.cancel()


def _enter(loop: asyncio.AbstractEventLoop, session: ClientSession, calls: Calls) -> _Reader | None:
    descriptor = session.transport.fileno()
    if descriptor < 0 or session.error is not None:  # it was closed just now, so there is an answer
        return None
    readers = _readers.setdefault(loop, {})
    reader = readers.get(descriptor)
    if reader is None or reader.session is not session:
        reader = _Reader(loop, descriptor, session, calls)
    try:
        reader.enter()
    except OSError:
        if session.error is None:
            raise
        return None  # another thread has closed it between the look above and here
    readers[descriptor] = reader
    return reader
