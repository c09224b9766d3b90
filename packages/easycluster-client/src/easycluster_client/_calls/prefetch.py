"""Prefetching: values of a remote iterator are requested before a script asks for them.

Several nonblocking calls of ``__next__`` are under way at once, in one server thread, so they are answered in
the order of the iterator. Dropping a `Prefetcher` drops their answers; the iterator has advanced by their
number nevertheless.
"""

from __future__ import annotations

import threading
import weakref
from collections import deque
from itertools import starmap
from typing import TYPE_CHECKING

from easycluster_protocol._objects.proxies import RemoteProxy

from .response import NonblockingResponse

if TYPE_CHECKING:
    from easycluster_protocol._types import Value


#: How many values are requested before the first has come.
_FIRST_PREFETCH = 64


class Prefetcher:
    """Requests values of an iterator ahead, and holds their responses until they are taken.

    Args:
        proxy: the proxy of the iterator.
        count: how many values to request beyond the one that the script asks for.
        options: the options of the calls.
    """

    def __init__(self, proxy: RemoteProxy, count: int, options: dict[str, Value]) -> None:
        self._proxy = proxy
        self._count = count
        self._options = options
        #: How many calls to keep under way now; it grows, so that an iterator which ends soon is asked less.
        self._limit = min(count, _FIRST_PREFETCH)
        self._under_way: deque[NonblockingResponse] = deque()
        # Held while calls are sent, not while a thread waits. Reentrant: signal handlers may take values.
        self._lock = threading.RLock()
        self._thread = 0
        #: The last call, which its session holds until it is answered.
        self._last: weakref.ref[NonblockingResponse] | None = None

    def take(self) -> Value:
        """Wait for the next value and return it; an error of the iterator is raised in its place, once.

        After a limit or an interrupt nothing is lost: the next call returns the value.
        """
        with self._lock:
            response = self._under_way.popleft() if self._under_way else self._request()
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
            del response  # see `NonblockingResponse.call_take_result`

    def forget(self) -> None:
        """Forget the values that were requested ahead."""
        with self._lock:
            self._under_way.clear()

    def _fill(self) -> None:
        try:
            while len(self._under_way) < self._limit:
                # One C call, so that no interrupt separates sending a call from noting it.
                self._under_way.extend(starmap(self._request, ((),)))
        except Exception:
            # The connection has ended, for example. The values that have come go first; the request for the
            # next one raises the error then.
            pass

    def _request(self) -> NonblockingResponse:
        calls = self._proxy._easycluster_state.current_calls()
        thread = self._options.get("threadid")
        if thread is None:
            thread = calls.default_thread  # on a ThreadedClient that of the calling thread
        last = None if self._last is None else self._last()
        if last is not None and thread != self._thread:
            last.call_wait(None)  # two server threads at once would not keep the order
        options: dict[str, Value] = {**self._options, "nonblocking": True, "threadid": thread}
        response: NonblockingResponse = self._proxy.raw_call_method("__next__", **options)
        self._thread, self._last = thread, weakref.ref(response)
        return response
