"""The methods that a response shares with `concurrent.futures.Future`.

They are apart from the rest, because nothing of this is on the way of an ordinary call.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

from easycluster_protocol._wire import messages as m

from . import completions
from .future_condition import Standard

if TYPE_CHECKING:
    from easycluster_client._api.client import Client


class FutureMethods:
    """Base class of `NonblockingResponse`."""

    client: Client
    _what: str
    _done: bool
    _session: Any
    _message: Any
    _outcome: Any
    _standard: Standard | None = None

    #: A callback of asyncio's → the tasks that call it.
    _tasks: dict[Callable[[Any], Any], list[Any]] | None = None

    if TYPE_CHECKING:

        def _wait(self, timeout: float | None) -> None: ...
        def _result(self, origexc: Any = None) -> Any: ...
        def _exception(self) -> BaseException | None: ...
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
        completions.check("a callback", fn)
        if str(getattr(fn, "__module__", "")).startswith("asyncio."):
            # As of `asyncio.wait`: to be called in its loop only, which has to read meanwhile.
            from .asyncio_waiting import call_in_loop

            if call_in_loop(self, fn):
                return
        vars(self).setdefault("_callbacks", []).append(fn)
        self._completes = True
        # In this order, see `NonblockingResponse._watch`.
        if self._done:
            self._call_back()

    def remove_done_callback(self, fn: Callable[[Any], Any]) -> int:
        """Forget ``fn``, and return how often it was to be called; as of asyncio's futures."""
        callbacks: list[Any] = vars(self).get("_callbacks", [])
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

    def __await__(self) -> Generator[Any, Any, Any]:
        """Wait in asyncio: its loop reads the connection meanwhile."""
        from .asyncio_waiting import wait_in_loop

        return wait_in_loop(self)

    @property
    def _failed(self) -> bool:
        """Whether the answer is an error. Nothing is unpickled for that: whoever reads asks."""
        # The message first, see `NonblockingResponse._resolve`.
        message, outcome = self._message, self._outcome
        if outcome is not None:
            return bool(outcome[1] is not None)
        return message is None or message.kind == m.FAILURE or message.damage is not None

    # For `concurrent.futures`, see `future_condition`.

    @property
    def _condition(self) -> Standard:
        return self._standard or self._make_standard()

    @property
    def _waiters(self) -> list[Any]:
        return self._condition.waiters

    @property
    def _state(self) -> str:
        # Errors are raised here, where those functions hold conditions, and not before: they would not be
        # given back.
        calls = self.client._easycluster
        if not calls.reads_by_itself:
            raise TypeError(
                "the functions of concurrent.futures read no answers: for responses of a Client use"
                " easycluster.wait and easycluster.as_completed"
            )
        if self._condition.finished:
            return "FINISHED"
        self._session.check_may_wait()
        return "RUNNING"

    def _make_standard(self) -> Standard:
        standard = Standard()
        found: Standard = vars(self).setdefault("_standard", standard)
        if found is standard:
            self._watch(found.finish)
        return found
