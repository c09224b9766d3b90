"""The methods that a response shares with `concurrent.futures.Future`.

They are apart from the rest, because nothing of this is on the way of an ordinary call. The
functions of `concurrent.futures` want three attributes more, ``_condition``, ``_waiters`` and
``_state``; a response makes them when it is asked for them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

from . import _completions

if TYPE_CHECKING:
    from ._client import Client


class _Standard:
    """What `concurrent.futures` wants of a future.

    Attributes:
        finished: changes while ``condition`` is held, and only once.
    """

    def __init__(self) -> None:
        self.condition = threading.Condition()
        self.waiters: list[Any] = []
        self.finished = False

    def finish(self, response: FutureMethods) -> None:
        """Tell all who wait."""
        with self.condition:
            if self.finished:
                return
            self.finished = True
            for waiter in self.waiters:
                (waiter.add_exception if response._failed else waiter.add_result)(response)
            self.condition.notify_all()


class FutureMethods:
    """Base class of `NonblockingResponse`."""

    client: Client
    _what: str
    _done: bool
    _session: Any
    _message: Any
    _standard: _Standard | None = None

    if TYPE_CHECKING:

        def _wait(self, timeout: float | None) -> None: ...
        def _result(self, origexc: Any = None) -> Any: ...
        def _exception(self) -> BaseException | None: ...
        def _resolve(self) -> Any: ...
        def _watch(self, tell: Callable[[Any], Any]) -> None: ...
        def _call_back(self) -> None: ...

    def result(self, timeout: float | None = None) -> Any:
        """Return the value; see `NonblockingResponse.wait`.

        Args:
            timeout: how long to wait, in seconds; None: as long as the call was given.
        """
        try:
            self._wait(timeout)
            return self._result()
        finally:
            del self  # see `NonblockingResponse._result`

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Return what `result` would raise, or None; nothing is printed.

        Args:
            timeout: how long to wait, in seconds; None: as long as the call was given.

        Raises:
            CallTimeout: there is no answer yet. The call goes on, and can be waited for again.
        """
        if not self._done:
            self._wait(timeout)
        return self._exception()

    def done(self) -> bool:
        """Return whether the answer has arrived, or the connection was lost. What the server has sent
        is read for that, without waiting."""
        if not self._done:
            self._session.look()
            self.client._easycluster.run_completions(self._session)
        return self._done

    def running(self) -> bool:
        """Return whether the call was sent and its answer has not arrived."""
        return not self.done()

    def cancel(self) -> bool:
        """Return False: a call that was sent cannot be taken back."""
        return False

    def cancelled(self) -> bool:
        """Return False, see `cancel`."""
        return False

    def add_done_callback(self, fn: Callable[[Any], Any]) -> None:
        """Call ``fn(response)`` when the answer has been read, or now if it has been.

        It is called as completion functions are, see `Client`; what it raises is printed.
        """
        _completions.check("a callback", fn)
        vars(self).setdefault("_callbacks", []).append(fn)
        self._completes = True
        # In this order, see `NonblockingResponse._watch`.
        if self._done:
            self._call_back()

    def __await__(self) -> Generator[Any, Any, Any]:
        """Wait in asyncio: its loop reads the connection meanwhile."""
        from ._await import wait_in_loop

        return wait_in_loop(self)

    @property
    def _failed(self) -> bool:
        return self._resolve()[1] is not None

    def _make_standard(self) -> _Standard:
        if not self.client._easycluster.reads_by_itself:
            raise TypeError(
                "the functions of concurrent.futures read no answers: for responses of a Client use"
                " easycluster.wait and easycluster.as_completed"
            )
        standard = _Standard()
        found: _Standard = vars(self).setdefault("_standard", standard)
        if found is standard:
            self._watch(found.finish)
        return found

    @property
    def _condition(self) -> threading.Condition:
        return (self._standard or self._make_standard()).condition

    @property
    def _waiters(self) -> list[Any]:
        return (self._standard or self._make_standard()).waiters

    @property
    def _state(self) -> str:
        return "FINISHED" if (self._standard or self._make_standard()).finished else "RUNNING"
