"""The errors of interrupted calls: which get a note, and which frames they lose."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from easycluster_client._session.interrupted_calls import (
    drop_own_frames,
    explain_cancelled,
    explain_second_interrupt,
    explain_sending,
    explain_waiting,
)
from easycluster_protocol.errors import CallTimeout
from helpers.hand_made import HandMadeServer, send_call

HAS_NOTES = sys.version_info >= (3, 11)


def get_notes(error: BaseException) -> list[str]:
    """The notes of an error."""
    notes: list[str] = getattr(error, "__notes__", [])
    return notes


@pytest.mark.skipif(not HAS_NOTES, reason="exceptions have no notes")
def test_which_errors_get_a_note(server: HandMadeServer) -> None:
    """An error of a signal handler gets one, once, if the call goes on; an error that explains itself gets none."""
    session, call = server.session, send_call(server)
    alarm, timeout = TimeoutError("alarm"), CallTimeout("late")
    explain_waiting(alarm, call, session)
    explain_sending(alarm, call, session, False)
    assert get_notes(alarm) == []  # the client is not ready

    session.way_to_end = "reconnect()"
    for _ in range(2):
        explain_waiting(alarm, call, session)
        explain_waiting(timeout, call, session)
    call.call_is_answered = True
    late = KeyboardInterrupt()
    explain_waiting(late, call, session)

    assert len(get_notes(alarm)) == 1
    assert get_notes(timeout) == get_notes(late) == []


def cancelled_call(host: str, answered: bool) -> Any:
    """A call that was told to end."""
    session = SimpleNamespace(peername=host, way_to_end="reconnect()")
    return SimpleNamespace(call_label="f", call_is_answered=answered, call_session=session)


@pytest.mark.skipif(not HAS_NOTES, reason="exceptions have no notes")
def test_cancelled_calls() -> None:
    """The notes tell calls that have ended from those that go on, and name three hosts at most."""
    error = KeyboardInterrupt()
    explain_cancelled(error, [])
    explain_cancelled(error, [cancelled_call(host, True) for host in "abcde"])
    explain_cancelled(error, [cancelled_call("a", True), cancelled_call("b", False)])
    explain_second_interrupt(error, [cancelled_call("a", True), cancelled_call("b", False)])
    explain_second_interrupt(error, [cancelled_call("a", True)])

    assert get_notes(error) == [
        "the waiting for f on a, b, c and 2 more was interrupted, and the calls were cancelled",
        "the waiting for f on a was interrupted, and the call was cancelled",
        (
            "the waiting for f on b was interrupted: the call was told to end, and had not ended a second later;"
            " later calls in the same thread wait for that; reconnect() ends the process there"
        ),
        "the waiting for f on b was interrupted twice: the call was told to end, and may not have ended yet",
    ]


@pytest.mark.parametrize("kind", [KeyboardInterrupt, ValueError])
def test_frames_of_others_stay(kind: type[BaseException]) -> None:
    """A traceback with frames outside of the library keeps all of them."""

    def fail(error: Any) -> None:
        raise error

    with pytest.raises(kind) as caught:
        fail(kind())
    drop_own_frames(caught.value, fail.__code__)

    assert caught.traceback[-1].name == "fail"
