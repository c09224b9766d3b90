"""Values of a remote iterator, fetched ahead of whoever iterates.

So many nonblocking calls of ``__next__`` are under way, one behind the other in one server thread, so that
they are answered in the iterator's order. Who drops this drops their answers; the iterator has gone on by as
many.
"""

from __future__ import annotations

import threading
import weakref
from collections import deque
from typing import Any

from easycluster_protocol._objects.proxies import RemoteProxy

from .response import NonblockingResponse

#: How many values are asked for before the first has come.
_AT_ONCE = 64


class Ahead:
    """What has been asked for and not been taken yet.

    Args:
        proxy: the iterator's.
        count: how many values to fetch ahead of the one that is asked for.
        options: those of the calls.
    """

    def __init__(self, proxy: RemoteProxy, count: int, options: dict[str, Any]) -> None:
        self._proxy = proxy
        self._count = count
        self._options = options
        #: How many to ask for at once now: an iterator that ends soon is not asked for all.
        self._most = min(count, _AT_ONCE)
        self._under_way: deque[NonblockingResponse] = deque()
        # Held while calls are sent, not while somebody waits. A signal handler may take values, too.
        self._lock = threading.RLock()
        self._thread = 0
        #: The last call. While it has no answer its session holds it.
        self._last: weakref.ref[NonblockingResponse] | None = None

    def take(self) -> Any:
        """Wait for the next value and return it; what the iterator raises is raised in its place, once.

        Whoever gave up waiting, at a limit or by an interrupt, lost nothing and can ask again.
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
            self._most = min(self._count, 2 * self._most)
            return value
        finally:
            if not response.have_response:
                self._under_way.appendleft(response)
            del response  # see `NonblockingResponse._result`

    def forget(self) -> None:
        """Forget what was fetched ahead."""
        with self._lock:
            self._under_way.clear()

    def _fill(self) -> None:
        try:
            while len(self._under_way) < self._most:
                # One C call: what was sent is noted, whatever interrupts come then.
                self._under_way.extend(map(Ahead._ask, (self,)))
        except Exception:
            # As when the connection has ended. The values that are here come first; who asks for one that is
            # not is told then.
            pass

    def _ask(self) -> NonblockingResponse:
        maker = self._proxy._easycluster_state.references.current_maker()
        thread = self._options.get("threadid")
        if thread is None:
            thread = maker.default_thread  # that of the calling thread, on a ThreadedClient
        last = None if self._last is None else self._last()
        if last is not None and thread != self._thread:
            last._wait(None)  # two threads at once would not keep the order
        options: dict[str, Any] = {**self._options, "nonblocking": True, "threadid": thread}
        response: NonblockingResponse = self._proxy.raw_call_method("__next__", **options)
        self._thread, self._last = thread, weakref.ref(response)
        return response
