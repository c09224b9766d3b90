"""The errors of interrupted calls: which get a note, and which frames they lose."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from easycluster_client._session.interrupted_calls import (
    drop_own_frames,
    explain_others,
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
    explain_sending(alarm, call, session)
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


@pytest.mark.skipif(not HAS_NOTES, reason="exceptions have no notes")
def test_other_hosts() -> None:
    """Three other hosts are named at most."""
    error = KeyboardInterrupt()
    explain_others(error, [])
    explain_others(error, ["a", "b"])
    explain_others(error, ["a", "b", "c", "d", "e"])

    assert get_notes(error) == [
        "the calls on a, b go on, too, unless they have ended",
        "the calls on a, b, c and 2 more go on, too, unless they have ended",
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
