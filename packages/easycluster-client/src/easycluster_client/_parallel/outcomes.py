"""The outcomes of a call on many servers: a value or an error of each, in order.

The exception that `call_multi` raises is the user's own: nothing is set on it, and not every exception can be
weakly referenced. The frame that raised it belongs to its traceback, and so lives as long as it does. That
frame holds the outcomes, in which the exception itself is left out, so there is no circle.
"""

from __future__ import annotations

import traceback
from typing import NamedTuple, NoReturn

from easycluster_protocol._types import Value


class Outcome(NamedTuple):
    """The outcome of one of the calls that `call_multi` and its kin make.

    Attributes:
        host: the name of the server, as `Client.peername`.
        value: the value of the call; None if it failed.
        error: the error of the call; None if it has a value.
    """

    host: str
    value: Value
    error: Exception | None

    def result(self) -> Value:
        """Return the value, or raise the error."""
        if self.error is not None:
            raise self.error
        return self.value


def outcomes(error: BaseException) -> list[Outcome]:
    """Return the values and errors of all calls, in order, when `call_multi` or its kin has raised an error.

    Args:
        error: the exception as it was caught, with its traceback.

    Raises:
        ValueError: none of these functions has raised it, or it has lost its traceback.
    """
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if frame.f_code is _raise.__code__ and "others" in frame.f_locals:
            found: list[Outcome] = list(frame.f_locals["others"])
            first: int = frame.f_locals["first"]
            assert isinstance(error, Exception)
            found[first] = found[first]._replace(error=error)
            return found
    raise ValueError(
        f"there are no outcomes for {error!r}: call_multi or its kin has not raised it, or its traceback was"
        " removed"
    )


def raise_first(found: list[Outcome]) -> None:
    """Raise the first error among the outcomes, if there is one. It is taken out of the list."""
    failed = [number for number, each in enumerate(found) if each.error is not None]
    if failed:
        # In a list, from which it is taken when it is raised: no frame holds it.
        error = [found[failed[0]].error]
        found[failed[0]] = found[failed[0]]._replace(error=None)
        drop_tracebacks(found)
        _raise(error, failed[0], found)


def _raise(
    error: list[Exception | None],
    first: int,  # noqa: ARG001 -- `outcomes` finds it in this frame
    others: list[Outcome],  # noqa: ARG001 -- the same
) -> NoReturn:
    raised = error.pop()
    assert raised is not None
    try:
        raise raised
    finally:
        del raised


def drop_tracebacks(found: list[Outcome]) -> None:
    """Drop the tracebacks of errors, whose frames would hold the outcomes, and so the errors themselves. The
    stack trace of the host is in the cause."""
    for each in found:
        if each.error is not None:
            each.error.with_traceback(None)
