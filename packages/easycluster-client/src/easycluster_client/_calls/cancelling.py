"""Cancelling calls: by `NonblockingResponse.cancel`, by a limit, and by an interrupt of the waiting.

The host is told by CANCEL, and every cancelled call still gets its answer: an error that says how it was
ended, or the value of a call that has ended by itself.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from easycluster_client._deadlines import check_timeout, new_timeout_error
from easycluster_client._session.interrupted_calls import (
    explain_cancelled,
    explain_second_interrupt,
    explain_waiting,
    is_interrupt,
)
from easycluster_client._session.pending import PendingCall
from easycluster_protocol.errors import CallCancelled

if TYPE_CHECKING:
    from easycluster_client._session.session import ClientSession
    from easycluster_protocol._types import Value

    from .owner import Owner

#: Values of `cancelled_by` that the host does not send.
KILLED, RETURNED = "process ended", "returned anyway"

#: Seconds that a call has to end after it was told to, unless the script says otherwise.
GRACE = 1.0


@functools.lru_cache(maxsize=1)
def _cancelled_class() -> type[CallCancelled]:
    """Return the class that masters raise: scripts catch it as the error of futures, too."""
    from concurrent.futures import CancelledError  # which takes a while to import

    class Cancelled(CallCancelled, CancelledError):
        def __reduce__(self) -> tuple[type, tuple[Value, ...], dict[str, str]]:
            return CallCancelled, self.args, {"cancelled_by": self.cancelled_by}

    Cancelled.__name__ = Cancelled.__qualname__ = CallCancelled.__name__
    Cancelled.__module__ = CallCancelled.__module__
    return Cancelled


def new_cancelled_error(label: str, peername: str, found: CallCancelled) -> CallCancelled:
    """Return the error of a call that was cancelled.

    Args:
        label: the name of the function.
        peername: the name of the host.
        found: the error that the host has sent.
    """
    state = " before it began" if found.cancelled_by == "not begun" else ""
    error = _cancelled_class()(f"{label} on {peername} was cancelled{state}")
    error.cancelled_by = found.cancelled_by
    error.__cause__ = found.__cause__  # the stack trace there
    return error


class CancellableCall(PendingCall):
    """A call that can be cancelled; a base class of `NonblockingResponse`.

    Attributes:
        call_timeout: the limit of each wait that is given no other, in seconds.
        call_cancels: whether the call is cancelled at the end of that time.
        call_is_cancelled: whether the host was told to cancel the call.
        call_is_killed: whether the process on the host was ended for that.
    """

    client: Owner
    call_session: ClientSession
    # See `PendingCall`.
    call_timeout: float | None = None
    call_cancels: bool = False
    call_is_cancelled = False
    call_is_killed = False

    if TYPE_CHECKING:

        @property
        def call_has_failed(self) -> bool: ...
        def call_wait(self, timeout: float | None) -> None: ...
        def call_wait_until(self, deadline: float | None) -> None: ...
        def done(self) -> bool: ...
        def _exception(self) -> BaseException | None: ...

    def cancel(self, *, grace: float = 1.0, kill: bool = False) -> bool:
        """Cancel the call on the host, and wait a moment for its end.

        A call that waits for its turn is taken out of its queue and never runs. A running call in the main
        thread of the host's process is interrupted, also while it sleeps or waits; in another thread it is
        ended as soon as it runs Python code. In both cases `finally` blocks run, and what follows works. A
        call may ignore that, or be in C code that nothing can end.

        Args:
            grace: how long to wait for the end, in seconds; 0: not at all.
            kill: whether to end the whole process on the host if the call has not ended then. All calls on
                the connection raise `ConnectionLost`.

        Returns:
            Whether the call is known to have no value because it was cancelled; see also `cancelled_by`. It
            is False if the call has ended before, goes on, or the server is too old to cancel calls.

        Raises:
            TypeError, ValueError: ``grace`` is not a number of seconds from 0 on.
        """
        seconds = check_timeout(grace)
        if seconds is None:
            raise TypeError("grace must be a number of seconds: a call may never end, though it was told to")
        if not self.done():
            self._cancel(seconds, kill)
        return self.cancelled()

    def cancelled(self) -> bool:
        """Return whether the call was cancelled, and has ended without a value for that reason."""
        return self.cancelled_by not in (None, RETURNED)

    @property
    def cancelled_by(self) -> str | None:
        """The step that has ended a cancelled call: ``"not begun"``, ``"signal"`` or ``"exception"`` as in
        `CallCancelled`; ``"process ended"``: the process was ended; ``"returned anyway"``: none, the
        call has ended by itself. None: the call was not cancelled, or has not ended yet."""
        if not self.call_is_answered:
            return None
        if self.call_is_killed and self.call_loss is not None:
            return KILLED
        if not self.call_is_cancelled or self.call_loss is not None:
            return None
        error = self._exception() if self.call_has_failed else None
        return error.cancelled_by if isinstance(error, CallCancelled) else RETURNED

    def _cancel(self, grace: float, kill: bool) -> None:
        session = self.call_session
        deadline = time.monotonic() + grace
        if self.call_tell_to_end() and grace:
            try:
                session.check_may_wait()
                self.call_wait_until(deadline)
            except RuntimeError:
                # A completion function, or a signal handler in the middle of reading, cannot wait.
                pass
        if kill and not self.call_is_answered:
            self.call_is_killed = True
            session.end_process(
                f"the process on {session.peername} was ended, because {self.call_label} was cancelled with"
                " kill=True"
            )

    def call_wait_again(self, timeout: float | None) -> None:
        """Wait as `call_wait` does; after an interrupt, the call goes on and can be waited for again."""
        try:
            self.call_wait(timeout)
        except BaseException as error:
            explain_waiting(error, self, self.call_session)
            raise

    def call_tell_to_end(self) -> bool:
        """Tell the host to end the call; return whether it could be told."""
        if not self.call_session.can_cancel:
            return False
        self.call_is_cancelled = True  # first: the answer may come at once
        return self.call_session.send_cancel(self)

    def call_check_time(self, timeout: float) -> None:
        """Raise the error for an answer that did not come in time.

        Args:
            timeout: the limit, in seconds.

        Raises:
            CallTimeout: always, unless the call was cancelled at the end of the time and has ended by itself.
        """
        where = f"{self.call_label} on {self.call_session.peername}"
        state = "started" if self.call_is_started else "sent"
        if self.call_is_answered:
            if not self.cancelled():
                return
            state = end = "cancelled"
        else:
            end = f"{state}, was told to end," if self.call_is_cancelled else f"{state},"
            end += " and goes on"
        text = f"no answer from {where} within {timeout:g} seconds: the call was {end} there"
        raise new_timeout_error(text, state, self)


def cancel_interrupted(error: BaseException, calls: Sequence[CancellableCall]) -> None:
    """Cancel calls, the waiting for which an interrupt has ended, and add a note to it that says what became
    of them.

    All hosts are told first; then all calls together have a second to end. A second interrupt ends this.

    Args:
        error: the error that a signal handler has raised; calls go on after any other error.
        calls: the calls.
    """
    ready = [each for each in calls if each.call_session.way_to_end]  # others are closed by their maker
    waiting = [each for each in ready if each.call_session.is_under_way(each)]
    if not waiting or not is_interrupt(error):
        return
    told: list[CancellableCall] = []
    try:
        for each in waiting:
            if each.call_tell_to_end():
                told.append(each)
            else:
                explain_waiting(error, each, each.call_session)
        deadline = time.monotonic() + GRACE
        for each in told:
            each.call_wait_until(deadline)
    except BaseException as second:
        if is_interrupt(second):
            explain_second_interrupt(second, told)
            raise
        # Otherwise this thread cannot wait, and the interrupt is what the script has to know.
    explain_cancelled(error, told)
