"""``await response``: the loop of asyncio reads the connection while a task awaits an answer."""

from __future__ import annotations

import asyncio
import threading
import weakref
from typing import TYPE_CHECKING

from easycluster_client._deadlines import query_margin
from easycluster_server._system.masters import Wakeup, wait_for_any

from . import cancelling
from .cancelling import CancellableCall

if TYPE_CHECKING:
    from easycluster_client._session.pending import PendingCall
    from easycluster_client._session.session import ClientSession

    from .owner import Calls

#: The readers of each loop by their descriptors. A loop has one reader for a descriptor, and several
#: responses may be awaited at once.
_readers: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[int, _Reader]]
_readers = weakref.WeakKeyDictionary()


class _Reader:
    """Reads one connection whenever the loop finds its descriptor ready."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, descriptor: int, session: ClientSession, calls: Calls
    ) -> None:
        self.session = session
        self._calls = calls
        self._loop = loop
        self._descriptor = descriptor
        self._users = 0
        self._timer: asyncio.TimerHandle | None = None

    def enter(self) -> None:
        """Count one more awaited response; with the first the reading begins."""
        if self._users == 0:
            self._begin()
            self._check_after(self.session.limit_wait(None))
        self._users += 1

    def leave(self) -> None:
        """Count one awaited response less; with the last the reading ends."""
        self._users -= 1
        if self._users == 0:
            if self._timer is not None:
                self._timer.cancel()
            readers = _readers.get(self._loop, {})
            is_replaced = readers.get(self._descriptor) is not self
            if not is_replaced:
                del readers[self._descriptor]
            self._end(is_replaced)

    def _begin(self) -> None:
        # A reader of an earlier connection whose descriptor had the same number goes first: the loop
        # would take that descriptor for still registered with the kernel.
        self._loop.remove_reader(self._descriptor)
        self._loop.add_reader(self._descriptor, self.read)

    def _end(self, is_replaced: bool) -> None:
        """Stop reading.

        Args:
            is_replaced: whether the descriptor belongs to the reader of a later connection by now.
        """
        if not is_replaced:
            self._loop.remove_reader(self._descriptor)

    def _check_after(self, delay: float | None) -> None:
        """Check that the server is alive after so many seconds; None: never."""
        self._timer = None if delay is None else self._loop.call_later(delay, self._check)

    def _check(self) -> None:
        self._check_after(self.session.check_alive())

    def read(self) -> None:
        """Receive the answers that have come, and call their completion functions."""
        self.session.receive_available()
        self._calls.run_completions(self.session)


class _ThreadReader(_Reader):
    """The same for a loop that watches no descriptors, as that of Windows: a thread waits for the bytes, and
    leaves the reading to the loop."""

    _wakeup: Wakeup | None = None

    def _begin(self) -> None:
        wakeup = Wakeup()
        try:
            self._has_read = threading.Event()
            threading.Thread(
                target=self._wait, args=(wakeup,), name="easycluster-asyncio", daemon=True
            ).start()
        except BaseException:
            wakeup.close()
            raise
        self._wakeup = wakeup

    def _end(self, is_replaced: bool) -> None:
        # The thread may wait for either of them.
        if self._wakeup is not None:
            self._wakeup.wake()
            self._wakeup = None
        self._has_read.set()

    def _wait(self, wakeup: Wakeup) -> None:
        has_read = self._has_read
        try:
            while wakeup.fileno() not in wait_for_any((self._descriptor, wakeup.fileno()), None):
                self._loop.call_soon_threadsafe(self._read_for_thread, has_read)
                has_read.wait()
                has_read.clear()
        except RuntimeError:  # the loop was closed
            pass
        finally:
            wakeup.close()

    def _read_for_thread(self, has_read: threading.Event) -> None:
        try:
            self.read()
        finally:
            has_read.set()


def find_running_loop() -> asyncio.AbstractEventLoop | None:
    """Return the loop that runs in this thread, or None if there is none."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


async def wait_for_call(call: PendingCall, session: ClientSession, calls: Calls, limit: float | None) -> None:
    """Wait in the running loop until the call has its answer, or the time is over.

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

    def wake(_: PendingCall) -> None:
        # The thread that reads calls this; it may be another one than that of the loop.
        try:
            loop.call_soon_threadsafe(finish)
        except RuntimeError:  # the loop was closed
            pass

    timers: list[asyncio.TimerHandle] = []
    if limit is not None:
        timers.append(loop.call_later(limit - query_margin(limit), session.query_status, call))
        timers.append(loop.call_later(limit, finish))
    call.call_add_watcher(wake)
    reader = _enter(loop, session, calls)
    try:
        await waiter
    finally:
        if reader is not None:
            reader.leave()
        call.call_remove_watcher(wake)
        for timer in timers:
            timer.cancel()


async def await_answer(call: CancellableCall, limit: float | None) -> None:
    """Wait for the answer in the running loop. The call is cancelled on the host when the task is, and at the
    end of the time if it has that option.

    Args:
        call: the call.
        limit: how long to wait, in seconds; None: for ever.

    Raises:
        CallTimeout: the answer did not come in time.
    """
    session, calls = call.call_session, call.client._easycluster_calls
    try:
        await wait_for_call(call, session, calls, limit)
        if limit is None or call.call_is_answered:
            return
        if call.call_cancels and call.call_tell_to_end():
            await wait_for_call(call, session, calls, cancelling.GRACE)
    except asyncio.CancelledError:
        if not call.call_is_answered:
            call.call_tell_to_end()
        raise
    call.call_check_time(limit)


def _enter(loop: asyncio.AbstractEventLoop, session: ClientSession, calls: Calls) -> _Reader | None:
    descriptor = session.transport.fileno()
    if descriptor < 0 or session.error is not None:  # it has just been closed, so there is an answer
        return None
    readers = _readers.setdefault(loop, {})
    reader = readers.get(descriptor)
    if reader is None or reader.session is not session:
        reader = _Reader(loop, descriptor, session, calls)
    try:
        try:
            reader.enter()
        except NotImplementedError:
            reader = _ThreadReader(loop, descriptor, session, calls)
            reader.enter()
    except OSError:
        if session.error is None:
            raise
        return None  # another thread has closed the connection after the check above
    readers[descriptor] = reader
    return reader
