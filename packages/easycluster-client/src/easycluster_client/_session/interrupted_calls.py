"""Interrupts that end the waiting for a call, as Ctrl-C does: the error says what becomes of the call itself.

The functions are called in `except` branches, which cost a call nothing. They may be cut short at any place
by a second interrupt, which then is the error that the script gets.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import CodeType
from typing import TYPE_CHECKING

from easycluster_client._address import add_note
from easycluster_protocol.errors import EasyClusterError

if TYPE_CHECKING:
    from typing import Protocol

    from .pending import PendingCall

    class Session(Protocol):
        """What a note tells of a session."""

        @property
        def peername(self) -> str:
            """The name of the server."""
            ...

        @property
        def way_to_end(self) -> str:
            """How a script ends the connection, or an empty text."""
            ...

    class CancelledCall(Protocol):
        """What a note tells of a call that was told to end."""

        call_label: str
        call_is_answered: bool

        @property
        def call_session(self) -> Session:
            """The connection."""
            ...


#: How many of the servers whose calls go on a note names.
_MOST_NAMED = 3


def explain_waiting(error: BaseException, call: PendingCall, session: Session) -> None:
    """Add a note to an interrupt that has ended the waiting for a call, unless the call has ended.

    Args:
        error: the error that a signal handler has raised, or an error of waiting, which explains itself.
        call: the call.
        session: its connection.
    """
    if is_interrupt(error) and session.way_to_end and not call.call_is_answered:
        add_note(
            error,
            f"the waiting for {call.call_label} on {session.peername} was interrupted: the call goes on there"
            " as long as the connection does, and later calls in its thread wait for it;"
            f" {session.way_to_end} ends it, together with the process there",
        )


def explain_sending(error: BaseException, call: PendingCall, session: Session, is_told: bool) -> None:
    """Add a note to an interrupt that came while a call was sent.

    Args:
        error: see `explain_waiting`.
        call: the call.
        session: its connection.
        is_told: whether the host was told to cancel the call.
    """
    if is_interrupt(error) and session.way_to_end:
        text = f"the sending of {call.call_label} to {session.peername} was interrupted: "
        if is_told:
            text += "if the call has arrived there, it is cancelled"
        else:
            text += (
                f"the call may run there nevertheless; {session.way_to_end} prevents it, and ends the process"
                " there"
            )
        add_note(error, text)


def explain_cancelled(error: BaseException, calls: Sequence[CancelledCall]) -> None:
    """Add notes to an interrupt: which calls have ended because they were cancelled, and which have not.

    Args:
        error: the error that a signal handler has raised.
        calls: the calls that were told to end.
    """
    ended = [each for each in calls if each.call_is_answered]
    going_on = [each for each in calls if not each.call_is_answered]
    if ended:
        add_note(error, f"{_begin(ended)} was interrupted, and {_name(ended)} cancelled")
    if going_on:
        ways = " or ".join(sorted({each.call_session.way_to_end for each in going_on}))
        add_note(
            error,
            f"{_begin(going_on)} was interrupted: {_name(going_on)} told to end, and had not ended a second"
            f" later; later calls in the same thread wait for that; {ways} ends the process there",
        )


def explain_second_interrupt(error: BaseException, calls: Sequence[CancelledCall]) -> None:
    """Add a note to an interrupt that came while the end of cancelled calls was waited for.

    Args:
        error: the error that a signal handler has raised.
        calls: the calls that were told to end.
    """
    left = [each for each in calls if not each.call_is_answered]
    if left:
        add_note(
            error,
            f"{_begin(left)} was interrupted twice: {_name(left)} told to end, and may not have ended yet",
        )


def _begin(calls: Sequence[CancelledCall]) -> str:
    """Return the beginning of a note, which names calls and hosts."""
    hosts = list(dict.fromkeys(each.call_session.peername for each in calls))
    more = f" and {len(hosts) - _MOST_NAMED} more" if len(hosts) > _MOST_NAMED else ""
    return f"the waiting for {calls[0].call_label} on {', '.join(hosts[:_MOST_NAMED])}{more}"


def _name(calls: Sequence[CancelledCall]) -> str:
    return "the call was" if len(calls) == 1 else "the calls were"


def drop_own_frames(error: BaseException, raiser: CodeType) -> None:
    """Drop the frames of this library at the end of a traceback, which tell a script nothing.

    The callers raise the error on. From Python 3.11 on, the traceback then begins with them.

    Args:
        error: an error that has been raised in the caller, or in a function that it has called. It keeps its
            traceback unless it is a KeyboardInterrupt that came in the middle of frames of this library, or
            comes from ``raiser``.
        raiser: the code of the function that raises errors of hosts.
    """
    entry = error.__traceback__
    code = None
    while entry is not None:
        code = entry.tb_frame.f_code
        if not entry.tb_frame.f_globals.get("__name__", "").startswith("easycluster_"):
            return  # such as a completion function, or a signal handler of the script
        entry = entry.tb_next
    if code is raiser or isinstance(error, KeyboardInterrupt):
        error.__traceback__ = None


def is_interrupt(error: BaseException) -> bool:
    """Return whether a signal handler of the script may have raised an error."""
    return not isinstance(error, (EasyClusterError, RuntimeError))
