"""The errors of connections that have ended: why, and what is known about each call that has no answer.

A call whose last byte was never handed to the kernel was *not sent*: the host runs no call of which a part is
missing. Every other call *may have been run*, whatever the network has acknowledged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from easycluster_protocol.errors import (
    CallNotSent,
    CallTimeout,
    ConnectionLost,
    OutcomeUnknown,
    ProtocolError,
)
from easycluster_server._io.transport import is_connection_error

if TYPE_CHECKING:
    from .pending import PendingCall

_Loss = TypeVar("_Loss", bound=ConnectionLost)

# The reasons, see `ConnectionLost`.
CLOSED = "closed"
ENDED = "ended"
LOST = "lost"
DAMAGED = "damaged"
FORKED = "forked"
UNCONNECTED = "unconnected"

#: The script, or this process, has ended the connection, and the text says so: nothing is added to it.
OWN_REASONS = (CLOSED, FORKED)


def new_loss(cls: type[_Loss], text: str, reason: str = LOST, host: str = "") -> _Loss:
    """Return the error for a connection that has ended.

    Args:
        cls: its class.
        text: what happened, for people.
        reason: see `ConnectionLost`.
        host: the name of the server.
    """
    error = cls(text)
    error.reason = reason
    error.host = host
    return error


def repeat_loss(cls: type[_Loss], first: ConnectionLost, addition: str = "") -> _Loss:
    """Return a new error for the same end.

    Args:
        cls: its class.
        first: the error that was made when the connection ended.
        addition: what the text says beside.
    """
    error = new_loss(cls, f"{first}{addition}", first.reason, first.host)
    error.__cause__ = first.__cause__
    return error


def lose_call(call: PendingCall, first: ConnectionLost, has_begun_answer: bool) -> ConnectionLost:
    """Return the error for a call that the end of its connection has left without an answer.

    Args:
        call: the call.
        first: the error that was made when the connection ended.
        has_begun_answer: whether a part of the answer has come.
    """
    name = f"the call of {call.call_label}" if call.call_label else "the call"
    # After a fork the parent may go on sending the call.
    if call.call_is_sent is False and first.reason != FORKED:
        return repeat_loss(CallNotSent, first, _say(first, f"{name} was not sent, and will not be run"))
    is_started = has_begun_answer or call.call_is_started
    conclusion = "had begun there, and may have ended" if is_started else "was sent, and may have been run"
    error = repeat_loss(OutcomeUnknown, first, _say(first, f"{name} {conclusion}"))
    error.started = True if is_started else None
    return error


def lose_result(error: ConnectionLost, label: str) -> OutcomeUnknown:
    """Return the error for a call that has run, but whose result the host had kept and cannot send any more.

    Args:
        error: the error of the call that asks for the result.
        label: the name of the function.
    """
    lost = new_loss(
        OutcomeUnknown,
        f"the call of {label} on {error.host} has ended, but its result is lost: {error}",
        error.reason,
        error.host,
    )
    lost.started = True
    lost.__cause__ = error.__cause__
    return lost


def _say(first: ConnectionLost, conclusion: str) -> str:
    return "" if first.reason in OWN_REASONS else f"; {conclusion}"


def is_cut_short(error: BaseException) -> bool:
    """Return whether an error of sending shows that not all of the message was handed to the kernel.

    Other errors are those of signal handlers, which may come when all of it is gone.
    """
    return isinstance(error, (ConnectionLost, CallTimeout, ProtocolError)) or (
        isinstance(error, OSError) and is_connection_error(error)
    )
