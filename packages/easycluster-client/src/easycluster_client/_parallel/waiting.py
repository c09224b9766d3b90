"""`wait` and `as_completed`: as the functions of `concurrent.futures`, for responses of any clients."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from easycluster_client._calls.response import NonblockingResponse
from easycluster_client._deadlines import deadline_after, new_timeout_error

from .reading import ConnectionReader, ReadSource

FIRST_COMPLETED = "FIRST_COMPLETED"
FIRST_EXCEPTION = "FIRST_EXCEPTION"
ALL_COMPLETED = "ALL_COMPLETED"
_RETURN_WHEN = (FIRST_COMPLETED, FIRST_EXCEPTION, ALL_COMPLETED)


class DoneAndNotDone(NamedTuple):
    """What `wait` returns.

    Attributes:
        done: the responses that have their answer, or whose connection was lost.
        not_done: the others.
    """

    done: set[NonblockingResponse]
    not_done: set[NonblockingResponse]


def wait(
    responses: Iterable[NonblockingResponse],
    timeout: float | None = None,
    return_when: str = ALL_COMPLETED,
) -> DoneAndNotDone:
    """Wait for several responses at once; the connections of all their clients are read meanwhile.

    Args:
        responses: what to wait for, each once.
        timeout: how long to wait, in seconds; None: for ever. It ends the waiting without an error.
        return_when: ``"ALL_COMPLETED"``, ``"FIRST_COMPLETED"``, or ``"FIRST_EXCEPTION"``: when all are
            done or one has failed.

    Raises:
        TypeError: among them is something else than a response; the limit is no number.
        ValueError: the limit is negative, or ``return_when`` is none of these.
    """
    if return_when not in _RETURN_WHEN:
        raise ValueError(f"return_when must be one of {', '.join(_RETURN_WHEN)}, not {return_when!r}")
    awaited = _AwaitedResponses(responses, timeout)
    done: set[NonblockingResponse] = set()
    try:
        enough = False
        while awaited.pending and not enough:
            response = awaited.next()
            if response is None:
                break
            done.add(response)
            enough = return_when == FIRST_COMPLETED or (
                return_when == FIRST_EXCEPTION and response.exception() is not None
            )
        done.update(iter(awaited.take, None))  # what has come together is returned together
        return DoneAndNotDone(done, set(awaited.pending))
    finally:
        awaited.close()


def as_completed(
    responses: Iterable[NonblockingResponse], timeout: float | None = None
) -> Iterator[NonblockingResponse]:
    """Return an iterator that gives each response as soon as it is done.

    Args:
        responses: what to wait for, each once, of any clients.
        timeout: how long to wait for all together, in seconds from now; None: for ever.

    Raises:
        TypeError: among them is something else than a response; the limit is no number.
        ValueError: the limit is negative.
        CallTimeout: from the iterator: some are not done yet. Their calls go on.
    """
    return _as_completed(_AwaitedResponses(responses, timeout), timeout)


def _as_completed(awaited: _AwaitedResponses, timeout: float | None) -> Iterator[NonblockingResponse]:
    total = len(awaited.pending)
    try:
        while awaited.pending:
            response = awaited.next()
            if response is None:
                raise new_timeout_error(
                    f"{len(awaited.pending)} of {total} calls have no answer within {timeout:g} seconds:"
                    " they were sent, and go on",
                    "sent",
                )
            yield response
            del response  # it is the caller's now
    finally:
        awaited.close()


class _AwaitedResponses:
    """Responses that are waited for together.

    Attributes:
        pending: those that have not been taken yet, in order.
    """

    def __init__(self, responses: Iterable[NonblockingResponse], timeout: float | None) -> None:
        self._deadline = deadline_after(timeout)
        self.pending: dict[NonblockingResponse, None] = {}
        for response in responses:
            self.pending[_check(response)] = None
        self._connections = Counter(map(_connection_of, self.pending))
        self._reading = ConnectionReader()
        # Filled by whoever reads; what stands in it twice is taken once.
        self._arrived: deque[NonblockingResponse] = deque()
        self._tell = self._arrived.append
        self._watching = False

    def take(self) -> NonblockingResponse | None:
        """Return one that is done, or None."""
        while self._arrived:
            response = self._arrived.popleft()
            if response in self.pending:
                del self.pending[response]
                response.call_remove_watcher(self._tell)
                connection = _connection_of(response)
                self._connections[connection] -= 1
                if not self._connections[connection]:
                    del self._connections[connection]
                return response
        return None

    def next(self) -> NonblockingResponse | None:
        """Return the next one that is done, or None when the time is over before."""
        if not self._watching:
            self._watching = True
            for response in self.pending:
                response.call_add_watcher(self._tell)
        while True:
            found = self.take()
            if found is not None:
                return found
            if not self._reading.read(self._connections, lambda: bool(self._arrived), self._deadline):
                return None

    def close(self) -> None:
        """Wait for nothing any more."""
        for response in self.pending:
            response.call_remove_watcher(self._tell)


def _check(response: object) -> NonblockingResponse:
    if not isinstance(response, NonblockingResponse):
        raise TypeError(f"only responses of nonblocking calls can be waited for, not {response!r}")
    return response


def _connection_of(response: NonblockingResponse) -> ReadSource:
    return ReadSource(response.call_session, response.client._easycluster_calls)
