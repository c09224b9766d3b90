"""Interrupts that end the waiting for a call, as Ctrl-C does: the error says that the call itself goes on.

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


#: How many of the servers whose calls go on a note names.
_MOST_NAMED = 3


def explain_waiting(error: BaseException, call: PendingCall, session: Session) -> None:
    """Add a note to an interrupt that has ended the waiting for a call, unless the call has ended.

    Args:
        error: the error that a signal handler has raised, or an error of waiting, which explains itself.
        call: the call.
        session: its connection.
    """
    if _is_interrupt(error) and session.way_to_end and not call.call_is_answered:
        add_note(
            error,
            f"the waiting for {call.call_label} on {session.peername} was interrupted: the call goes on there"
            " as long as the connection does, and later calls in its thread wait for it;"
            f" {session.way_to_end} ends it, together with the process there",
        )


def explain_sending(error: BaseException, call: PendingCall, session: Session) -> None:
    """Add a note to an interrupt that came while a call was sent; see `explain_waiting`."""
    if _is_interrupt(error) and session.way_to_end:
        add_note(
            error,
            f"the sending of {call.call_label} to {session.peername} was interrupted: the call may run there"
            f" nevertheless; {session.way_to_end} prevents it, and ends the process there",
        )


def explain_others(error: BaseException, hosts: Sequence[str]) -> None:
    """Add a note about the calls on other servers to an interrupt of the waiting for one of many calls.

    Args:
        error: the error that a signal handler has raised.
        hosts: the names of the servers.
    """
    if hosts and _is_interrupt(error):
        more = f" and {len(hosts) - _MOST_NAMED} more" if len(hosts) > _MOST_NAMED else ""
        add_note(
            error, f"the calls on {', '.join(hosts[:_MOST_NAMED])}{more} go on, too, unless they have ended"
        )


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


def _is_interrupt(error: BaseException) -> bool:
    """Return whether a signal handler of the script may have raised an error."""
    return not isinstance(error, (EasyClusterError, RuntimeError))
