"""Prefetching: values of a remote iterator are requested before a script asks for them.

Several nonblocking calls of ``__next__`` are under way at once, in one server thread, so they are answered in
the order of the iterator. The lines of a file come many to a message. Dropping a `Prefetcher` drops the
values that were requested; the iterator has advanced by their number nevertheless.
"""

from __future__ import annotations

import threading
import weakref
from collections import deque
from collections.abc import Sequence
from itertools import starmap
from typing import TYPE_CHECKING

from easycluster_protocol._objects.proxies import RemoteProxy
from easycluster_protocol._objects.proxy_classes import FileProxy

from .response import NonblockingResponse

if TYPE_CHECKING:
    from easycluster_protocol._types import Value

    #: The response that was unpacked last, the values in it, and the index of the next one to take.
    _State = tuple[NonblockingResponse | None, Sequence[Value], int]


#: How many values are requested before the first has come.
_FIRST_PREFETCH = 64

#: The operation that returns many lines, and the label of its calls.
_NEXT_LINES = "next_lines"

#: How many messages with lines are requested beyond the one whose lines are being taken.
_MESSAGES_AHEAD = 2


class Prefetcher:
    """Requests values of an iterator ahead, and holds their responses until they are taken.

    A response stays the first of those under way until the values in it have been taken, so that no interrupt
    can lose them: `_State` is replaced in one assignment.

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
        self._state: _State = (None, (), 0)
        # Held while calls are sent, not while a thread waits. Reentrant: signal handlers may take values.
        self._lock = threading.RLock()
        self._thread = 0
        #: The last call, which its session holds until it is answered.
        self._last: weakref.ref[NonblockingResponse] | None = None

    def take(self) -> Value:
        """Wait for the next value and return it; an error of the iterator is raised in its place, once.

        After a limit or an interrupt nothing is lost: the next call returns the value.
        """
        while True:
            unpacked, values, index = self._state
            try:
                value = values[index]
            except IndexError:
                pass
            else:
                # From reading the state on there was no call, so no handler and no other thread came between.
                self._state = unpacked, values, index + 1
                return value
            self._receive()

    def forget(self) -> None:
        """Forget the values that were requested ahead."""
        with self._lock:
            self._under_way.clear()
            self._state = (None, (), 0)

    def _receive(self) -> None:
        """Wait for the next response and unpack it, unless another thread does so before."""
        response = self._advance()
        if response is None:
            return
        try:
            values = self._unpack(response)
        except BaseException:
            # The error of the answer, or of a handler: then the answer is still to be taken.
            if not response.have_response or response.exception() is None:
                raise
            with self._lock:
                is_mine = bool(self._under_way) and self._under_way[0] is response
                if is_mine:
                    self._under_way.popleft()
            if is_mine:
                raise
        else:
            with self._lock:
                if self._under_way and self._under_way[0] is response and self._state[0] is not response:
                    self._state = response, values, 0
                    self._limit = min(self._count, 2 * self._limit)
        finally:
            del response  # see `NonblockingResponse.call_take_result`

    def _advance(self) -> NonblockingResponse | None:
        """Make sure that enough is under way; return the first response that has not been unpacked, or None
        if there are values to take."""
        with self._lock:
            unpacked, values, index = self._state
            if index < len(values):
                return None
            if self._under_way and self._under_way[0] is unpacked:
                self._under_way.popleft()
            if not self._under_way:
                self._request_one()
            try:
                while len(self._under_way) <= self._limit:
                    self._request_one()
            except Exception:
                # The connection has ended, for example. The values that have come go first; the request for
                # the next one raises the error then.
                pass
            return self._under_way[0]

    def _request_one(self) -> None:
        # One C call, so that no interrupt separates sending a call from noting it.
        self._under_way.extend(starmap(self._request, ((),)))

    def _unpack(self, response: NonblockingResponse) -> Sequence[Value]:
        """Wait for a response and return the values in it."""
        return (response.wait(),)

    def _call(self, options: dict[str, Value]) -> Value:
        """Make a call; return its response."""
        return self._proxy.raw_call_method("__next__", **options)

    def _request(self) -> NonblockingResponse:
        calls = self._proxy._easycluster_state.current_calls()
        thread = self._options.get("threadid")
        if thread is None:
            thread = calls.default_thread  # on a ThreadedClient that of the calling thread
        last = None if self._last is None else self._last()
        if last is not None and thread != self._thread:
            last.call_wait(None)  # two server threads at once would not keep the order
        options: dict[str, Value] = {**self._options, "nonblocking": True, "threadid": thread}
        response: NonblockingResponse = self._call(options)
        self._thread, self._last = thread, weakref.ref(response)
        return response


class LinePrefetcher(Prefetcher):
    """Requests lines of a file ahead, many with each call.

    A server that would have to wait for the lines, as for those of a pipe, answers None; then they are
    requested one by one, so that each comes when it is there.

    Args:
        proxy: the proxy of the file.
        count: how many lines to request ahead.
        options: the options of the calls.
    """

    def __init__(self, proxy: RemoteProxy, count: int, options: dict[str, Value]) -> None:
        super().__init__(proxy, _MESSAGES_AHEAD, options)
        self._lines_ahead = count
        self._most = max(1, count // (_MESSAGES_AHEAD + 1))
        self._size = min(self._most, _FIRST_PREFETCH)
        self._is_one_by_one = False

    def _call(self, options: dict[str, Value]) -> Value:
        if self._is_one_by_one:
            return super()._call(options)
        size, self._size = self._size, min(2 * self._size, self._most)
        return self._proxy._easycluster_state.operation(_NEXT_LINES, (self._proxy, size), options)

    def _unpack(self, response: NonblockingResponse) -> Sequence[Value]:
        if response.call_label != _NEXT_LINES:
            return super()._unpack(response)
        lines: Sequence[Value] | None = response.wait()
        if lines is not None:
            return lines
        self._is_one_by_one = True
        self._count = self._lines_ahead
        return ()


def make_prefetcher(proxy: RemoteProxy, count: int, options: dict[str, Value]) -> Prefetcher:
    """Return the prefetcher for an iterator; for the arguments see `Prefetcher`."""
    cls = LinePrefetcher if isinstance(proxy, FileProxy) and count > _MESSAGES_AHEAD else Prefetcher
    return cls(proxy, count, options)
