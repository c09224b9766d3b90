"""`wait` and `as_completed`, like the functions of `concurrent.futures`, for responses of any clients."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from easycluster_client._calls.cancelling import cancel_interrupted
from easycluster_client._calls.response import NonblockingResponse
from easycluster_client._deadlines import deadline_after, new_timeout_error

from .reading import ConnectionReader, ReadSource

FIRST_COMPLETED = "FIRST_COMPLETED"
FIRST_EXCEPTION = "FIRST_EXCEPTION"
ALL_COMPLETED = "ALL_COMPLETED"
_RETURN_WHEN = (FIRST_COMPLETED, FIRST_EXCEPTION, ALL_COMPLETED)


class DoneAndNotDone(NamedTuple):
    """The result of `wait`.

    Attributes:
        done: the responses that have their answer, or whose connection was lost.
        not_done: the other responses.
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
        responses: the responses; one that occurs more than once counts once.
        timeout: how long to wait, in seconds; None: for ever. The end of that time is no error.
        return_when: ``"ALL_COMPLETED"``, ``"FIRST_COMPLETED"``, or ``"FIRST_EXCEPTION"``: when all are
            done or one has failed.

    Raises:
        TypeError: one of the responses is not a response, or ``timeout`` is not a number.
        ValueError: ``timeout`` is NaN, or ``return_when`` is none of these values.
    """
    if return_when not in _RETURN_WHEN:
        raise ValueError(f"return_when must be one of {', '.join(_RETURN_WHEN)}, not {return_when!r}")
    awaited = _AwaitedResponses(responses, timeout)
    done: set[NonblockingResponse] = set()
    try:
        is_enough = False
        while awaited.pending and not is_enough:
            response = awaited.wait_for_next()
            if response is None:
                break
            done.add(response)
            is_enough = return_when == FIRST_COMPLETED or (
                return_when == FIRST_EXCEPTION and response.exception() is not None
            )
        done.update(iter(awaited.take, None))  # answers that have come together are returned together
        return DoneAndNotDone(done, set(awaited.pending))
    finally:
        awaited.close()


def as_completed(
    responses: Iterable[NonblockingResponse], timeout: float | None = None
) -> Iterator[NonblockingResponse]:
    """Return an iterator that yields each response as soon as it is done.

    Args:
        responses: the responses, of any clients; one that occurs more than once is yielded once.
        timeout: how long to wait for all together, in seconds from now; None: for ever.

    Raises:
        TypeError: one of the responses is not a response, or ``timeout`` is not a number.
        ValueError: ``timeout`` is NaN.
        CallTimeout: the iterator raises this if some responses are not done in time. Their calls go on.
    """
    return _as_completed(_AwaitedResponses(responses, timeout), timeout)


def _as_completed(awaited: _AwaitedResponses, timeout: float | None) -> Iterator[NonblockingResponse]:
    total = len(awaited.pending)
    try:
        while awaited.pending:
            response = awaited.wait_for_next()
            if response is None:
                raise new_timeout_error(
                    f"{len(awaited.pending)} of {total} calls have no answer within {timeout:g} seconds:"
                    " they were sent, and go on",
                    "sent",
                )
            yield response
            del response  # only the caller holds it now
    finally:
        awaited.close()


class _AwaitedResponses:
    """Responses that are waited for together.

    Attributes:
        pending: the responses that have not been taken yet, in order.
    """

    def __init__(self, responses: Iterable[NonblockingResponse], timeout: float | None) -> None:
        self._deadline = deadline_after(timeout)
        self.pending: dict[NonblockingResponse, None] = {}
        for response in responses:
            self.pending[_check_response(response)] = None
        #: The connections that pending responses belong to, with the number of these responses.
        self._connections = Counter(map(_get_source, self.pending))
        self._reader = ConnectionReader()
        #: Responses that are done. Threads that read append them; one that is here twice is taken once.
        self._arrived: deque[NonblockingResponse] = deque()
        self._watcher = self._arrived.append
        self._is_watching = False

    def take(self) -> NonblockingResponse | None:
        """Return a response that is done, or None; it is no longer pending."""
        while self._arrived:
            response = self._arrived.popleft()
            if response in self.pending:
                del self.pending[response]
                response.call_remove_watcher(self._watcher)
                connection = _get_source(response)
                self._connections[connection] -= 1
                if not self._connections[connection]:
                    del self._connections[connection]
                return response
        return None

    def wait_for_next(self) -> NonblockingResponse | None:
        """Wait for the next response that is done and return it; None: the time is over.

        An interrupt cancels the calls that are left.
        """
        try:
            return self._wait_for_next()
        except BaseException as error:
            cancel_interrupted(error, list(self.pending))
            raise

    def _wait_for_next(self) -> NonblockingResponse | None:
        if not self._is_watching:
            self._is_watching = True
            for response in self.pending:
                response.call_add_watcher(self._watcher)
        while True:
            found = self.take()
            if found is not None:
                return found
            if not self._reader.read(self._connections, lambda: bool(self._arrived), self._deadline):
                return None

    def close(self) -> None:
        """Stop watching the pending responses."""
        for response in self.pending:
            response.call_remove_watcher(self._watcher)


def _check_response(response: object) -> NonblockingResponse:
    if not isinstance(response, NonblockingResponse):
        raise TypeError(f"only responses of nonblocking calls can be waited for, not {response!r}")
    return response


def _get_source(response: NonblockingResponse) -> ReadSource:
    return ReadSource(response.call_session, response.client._easycluster_calls)
