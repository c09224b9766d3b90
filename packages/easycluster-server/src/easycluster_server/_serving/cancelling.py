"""Calls that the client has cancelled: one that waits is answered, one that runs is interrupted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from easycluster_protocol.errors import CallCancelled

from .job import CANCELLER, Cancelled, take

if TYPE_CHECKING:
    from easycluster_protocol._wire.messages import Message

    from .executor import Executor


def cancel(executor: Executor, number: int) -> None:
    """Take a call out of its queue and answer it, or interrupt it if it has begun.

    The thread that reads calls this, perhaps twice with the same call. A call that is over, or unknown, is
    left alone.

    Args:
        executor: runs the call.
        number: the number of the call.
    """
    found = executor.find(number)
    if found is None:
        return
    request, job = found
    # A request that came twice is in the queue twice, and was not taken the second time.
    if (job is None or not job.is_at(number)) and take(request, CANCELLER):
        # Its thread passes over it. Until then it need not keep the arguments.
        request.body, request.buffers = b"", ()
        error = _new_error("the call was cancelled before it began", "not begun")
        executor.post(executor.runner.pack_failure(request, error))
    elif job is not None:
        job.cancel(number)


def explain(request: Message, raised: Cancelled) -> CallCancelled:
    """Return the error of a call that was interrupted because it was cancelled, with the place where."""
    error = _new_error("the call was cancelled", "exception" if request.thread else "signal")
    error.__traceback__ = raised.__traceback__
    error.__cause__, error.__context__ = raised.__cause__, raised.__context__
    error.__suppress_context__ = raised.__suppress_context__
    return error


def _new_error(text: str, step: str) -> CallCancelled:
    error = CallCancelled(text)
    error.cancelled_by = step
    return error
