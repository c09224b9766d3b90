"""The methods that a response shares with `concurrent.futures.Future`; ordinary calls use none of them."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

from easycluster_protocol._types import Value
from easycluster_protocol._wire import messages as m

from . import completions
from .as_value import NotTheValue
from .cancelling import CancellableCall
from .future_condition import FutureCondition, Waiter

if TYPE_CHECKING:
    import asyncio


#: Called with the response that is done. `Any`: asyncio's own callbacks expect a future of asyncio.
_Callback = Callable[[Any], object]


class FutureMethods(NotTheValue, CancellableCall):
    """The methods that a response shares with futures; the base class of `NonblockingResponse`."""

    _outcome: tuple[Value, BaseException | None, list[str] | None] | None
    _future_condition: FutureCondition | None = None
    _callbacks: list[_Callback] | None = None

    #: The tasks that call callbacks of asyncio, by callback.
    _tasks: dict[_Callback, list[asyncio.Future[None]]] | None = None

    if TYPE_CHECKING:

        def call_take_result(self, origexc: Value = None, as_future: bool = False) -> Value: ...
        def _exception(self) -> BaseException | None: ...
        def _call_back(self) -> None: ...

    def result(self, timeout: float | None = None) -> Value:
        """Return the value; see `NonblockingResponse.wait`. Where that would raise an exception that is no
        `Exception`, such as SystemExit, this raises a `RemoteException` with it as ``orig``.

        Args:
            timeout: how long to wait, in seconds; None: as long as the call's own ``timeout`` says.
        """
        try:
            self.call_wait_again(timeout)
            return self.call_take_result(as_future=True)
        finally:
            del self  # see `NonblockingResponse.call_take_result`

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Return the error that `result` would raise, or None; nothing is printed.

        Args:
            timeout: how long to wait, in seconds; None: as long as the call's own ``timeout`` says.

        Raises:
            CallTimeout: there is no answer yet. The call goes on, and can be waited for again.
        """
        if not self.call_is_answered:
            self.call_wait_again(timeout)
        return self._exception()

    def done(self) -> bool:
        """Return whether the answer has arrived, or the connection was lost. Everything that the server has
        sent is read first, without waiting."""
        if not self.call_is_answered:
            self.call_session.receive_available()
            self.client._easycluster_calls.run_completions(self.call_session)
        return self.call_is_answered

    def running(self) -> bool:
        """Return whether the call was sent and its answer has not arrived."""
        return not self.done()

    def add_done_callback(self, fn: _Callback) -> None:
        """Call ``fn(response)`` when the answer has been read, or now if it has been read already.

        It is called like a completion function, see `Client`; an error that it raises is printed.
        """
        completions.check("a callback", fn)
        if str(getattr(fn, "__module__", "")).startswith("asyncio."):
            # A callback of `asyncio.wait`, for example: only the loop may call it, and has to read till then.
            from .asyncio_waiting import find_running_loop

            loop = find_running_loop()
            if loop is not None:
                self._tasks = self._tasks or {}
                self._tasks.setdefault(fn, []).append(loop.create_task(self._call_when_done(fn)))
                return
        vars(self).setdefault("_callbacks", []).append(fn)
        self.call_is_watched = True
        # In this order, see `PendingCall.call_add_watcher`.
        if self.call_is_answered:
            self._call_back()

    async def _call_when_done(self, fn: _Callback) -> None:
        from .asyncio_waiting import wait_for_call

        if not self.done():
            await wait_for_call(self, self.call_session, self.client._easycluster_calls, None)
        if self._tasks:
            self._tasks.pop(fn, None)
        fn(self)

    def remove_done_callback(self, fn: _Callback) -> int:
        """Remove ``fn`` from the callbacks; return how often it was there, as futures of asyncio do."""
        callbacks = self._callbacks or []
        count = 0
        try:
            while True:
                callbacks.remove(fn)
                count += 1
        except ValueError:
            pass
        for task in self._tasks.pop(fn, ()) if self._tasks else ():
            task.cancel()
            count += 1
        return count

    def __await__(self) -> Generator[object, None, Value]:
        """Wait in asyncio: its loop reads the connection meanwhile."""
        from .asyncio_waiting import await_answer

        if not self.done():
            yield from await_answer(self, self.call_timeout).__await__()
        return self.call_take_result(as_future=True)

    @property
    def call_has_failed(self) -> bool:
        """Whether the answer is an error. The thread that reads asks this, so nothing is unpickled."""
        # The message first, see `NonblockingResponse._resolve`.
        message, outcome = self.call_answer, self._outcome
        if outcome is not None:
            return bool(outcome[1] is not None)
        return message is None or message.kind == m.FAILURE or message.damage is not None

    # For `concurrent.futures`, see `future_condition`.

    @property
    def _condition(self) -> FutureCondition:
        return self._future_condition or self._make_condition()

    @property
    def _waiters(self) -> list[Waiter]:
        return self._condition.waiters

    @property
    def _state(self) -> str:
        # Errors are raised here, in the ``with`` block in which those functions hold the conditions. An error
        # of `_condition` would come outside of it, and conditions would stay taken.
        calls = self.client._easycluster_calls
        if not calls.reads_by_itself:
            raise TypeError(
                "the functions of concurrent.futures read no answers: for responses of a Client use"
                " easycluster.wait and easycluster.as_completed"
            )
        if self._condition.is_finished:
            return "FINISHED"
        self.call_session.check_may_wait()
        return "RUNNING"

    def _make_condition(self) -> FutureCondition:
        new = FutureCondition()
        found: FutureCondition = vars(self).setdefault("_future_condition", new)
        if found is new:
            self.call_add_watcher(found.finish)
        return found
