"""Values of a remote iterator that are fetched before a script asks for them.

Several nonblocking calls of ``__next__`` are under way, one behind the other in one server thread, so that
they are answered in the iterator's order. Dropping a `Prefetcher` drops their answers; the iterator has gone
on by as many.
"""

from __future__ import annotations

import threading
import weakref
from collections import deque
from typing import TYPE_CHECKING

from easycluster_protocol._objects.proxies import RemoteProxy

from .response import NonblockingResponse

if TYPE_CHECKING:
    from easycluster_protocol._types import Value


#: How many values are asked for before the first has come.
_FIRST_PREFETCH = 64


class Prefetcher:
    """The values that have been asked for and not been taken yet.

    Args:
        proxy: the iterator's.
        count: how many values to fetch ahead of the one that is asked for.
        options: the options of the calls.
    """

    def __init__(self, proxy: RemoteProxy, count: int, options: dict[str, Value]) -> None:
        self._proxy = proxy
        self._count = count
        self._options = options
        #: How many to keep under way now: an iterator that ends soon is not asked for all.
        self._limit = min(count, _FIRST_PREFETCH)
        self._under_way: deque[NonblockingResponse] = deque()
        # Held while calls are sent, not while a thread waits. A signal handler may take values, too.
        self._lock = threading.RLock()
        self._thread = 0
        #: The last call. While it has no answer its session holds it.
        self._last: weakref.ref[NonblockingResponse] | None = None

    def take(self) -> Value:
        """Wait for the next value and return it; an error of the iterator is raised in its place, once.

        A caller that gave up waiting, at a limit or by an interrupt, lost nothing and can ask again.
        """
        with self._lock:
            response = self._under_way.popleft() if self._under_way else self._ask()
            try:
                self._fill()
            except BaseException:
                self._under_way.appendleft(response)
                raise
        try:
            value = response.wait()
            self._limit = min(self._count, 2 * self._limit)
            return value
        finally:
            if not response.have_response:
                self._under_way.appendleft(response)
            del response  # see `NonblockingResponse.take_result`

    def forget(self) -> None:
        """Forget what was fetched ahead."""
        with self._lock:
            self._under_way.clear()

    def _fill(self) -> None:
        try:
            while len(self._under_way) < self._limit:
                # One C call: a call that was sent is noted, whatever interrupts come then.
                self._under_way.extend(map(Prefetcher._ask, (self,)))
        except Exception:
            # As when the connection has ended. The values that are here come first; asking for the next one
            # raises the error then.
            pass

    def _ask(self) -> NonblockingResponse:
        calls = self._proxy._easycluster_state.current_calls()
        thread = self._options.get("threadid")
        if thread is None:
            thread = calls.default_thread  # that of the calling thread, on a ThreadedClient
        last = None if self._last is None else self._last()
        if last is not None and thread != self._thread:
            last.wait_for_answer(None)  # two threads at once would not keep the order
        options: dict[str, Value] = {**self._options, "nonblocking": True, "threadid": thread}
        response: NonblockingResponse = self._proxy.raw_call_method("__next__", **options)
        self._thread, self._last = thread, weakref.ref(response)
        return response
