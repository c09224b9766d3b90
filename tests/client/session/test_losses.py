"""What a call without an answer says of itself: whether it was sent, and whether it may have been run."""

from __future__ import annotations

import copy
import errno
import pickle
from typing import Any

import pytest

from easycluster_client._session.losses import (
    CLOSED,
    ENDED,
    FORKED,
    LOST,
    UNCONNECTED,
    is_cut_short,
    lose_call,
    lose_result,
    new_loss,
    repeat_loss,
)
from easycluster_client._session.pending import PendingCall
from easycluster_protocol.errors import (
    CallNotSent,
    CallTimeout,
    ConnectionLost,
    LocalProtocolError,
    OutcomeUnknown,
)
from helpers.cuts import raise_in_the_kernel

FIRST = new_loss(ConnectionLost, "it ended", ENDED, "host:1")


def call(is_sent: bool | None = True, is_started: bool = False, label: str = "f") -> PendingCall:
    """A call in this state."""
    found = PendingCall()
    found.call_is_sent, found.call_is_started, found.call_label = is_sent, is_started, label
    return found


def of_the_kernel() -> OSError:
    """The error of a connection that breaks while something is sent."""
    try:
        raise_in_the_kernel(OSError(errno.EPIPE, "Broken pipe"))
    except OSError as error:
        return error
    raise AssertionError("nothing was raised")


@pytest.mark.parametrize(
    ("is_sent", "is_started", "has_begun_answer", "cls", "started", "conclusion"),
    [
        (False, False, False, CallNotSent, False, "the call of f was not sent, and will not be run"),
        (True, False, False, OutcomeUnknown, None, "the call of f was sent, and may have been run"),
        (True, True, False, OutcomeUnknown, True, "the call of f had begun there, and may have ended"),
        (True, False, True, OutcomeUnknown, True, "the call of f had begun there, and may have ended"),
        (None, False, False, OutcomeUnknown, None, "the call of f was sent, and may have been run"),
    ],
)
def test_what_is_known(
    is_sent: bool | None,
    is_started: bool,
    has_begun_answer: bool,
    cls: type[ConnectionLost],
    started: bool | None,
    conclusion: str,
) -> None:
    """A call that was not sent was not run; every other call may have been, and it was begun if the host has said so
    or has begun to answer."""
    error = lose_call(call(is_sent, is_started), FIRST, has_begun_answer)

    assert type(error) is cls
    assert (error.started, error.reason, error.host) == (started, ENDED, "host:1")
    assert str(error) == f"it ended; {conclusion}"


def test_call_without_a_name() -> None:
    """A call of which no name is known is called that."""
    assert (
        str(lose_call(call(label=""), FIRST, False)) == "it ended; the call was sent, and may have been run"
    )


def test_text_of_a_close() -> None:
    """The text that a script gives to `close` is the text of the errors; their classes tell the rest."""
    first = new_loss(ConnectionLost, "enough", CLOSED)
    errors = [lose_call(call(is_sent), first, False) for is_sent in (False, True)]

    assert [(type(error), str(error)) for error in errors] == [
        (CallNotSent, "enough"),
        (OutcomeUnknown, "enough"),
    ]


def test_call_of_the_parent_process() -> None:
    """After a fork the other process may go on sending a call, so the child never says that it will not be run."""
    error = lose_call(call(is_sent=False), new_loss(ConnectionLost, "forked", FORKED), False)

    assert (type(error), str(error), error.started) == (OutcomeUnknown, "forked", None)


def test_cause_is_repeated() -> None:
    """Each error has the cause of the first one."""
    first = new_loss(ConnectionLost, "it ended")
    first.__cause__ = ValueError("deeper")

    for error in (
        lose_call(call(), first, False),
        repeat_loss(CallNotSent, first, ", too"),
        lose_result(first, "f"),
    ):
        assert error.__cause__ is first.__cause__


def test_result_that_the_host_had_kept() -> None:
    """A call whose result was to be fetched has run, whatever is known about the call that fetches it."""
    error = lose_result(repeat_loss(CallNotSent, FIRST), "f")

    assert type(error) is OutcomeUnknown
    assert (error.started, error.reason, error.host) == (True, ENDED, "host:1")
    assert str(error) == "the call of f on host:1 has ended, but its result is lost: it ended"


@pytest.mark.parametrize("cls", [ConnectionLost, CallNotSent, OutcomeUnknown])
@pytest.mark.parametrize(
    "repeat", [copy.copy, copy.deepcopy, *(lambda e, p=p: pickle.loads(pickle.dumps(e, p)) for p in range(6))]
)
def test_errors_travel_whole(cls: type[ConnectionLost], repeat: Any) -> None:
    """Copies and pickles of the errors have all that these had."""
    error = new_loss(cls, "it ended", UNCONNECTED, "host:1")
    error.started = True
    found = repeat(error)

    assert type(found) is cls
    assert (str(found), found.reason, found.host, found.started) == ("it ended", UNCONNECTED, "host:1", True)


def test_errors_of_scripts() -> None:
    """An error that was made without anything beside its text has all attributes."""
    values = [(error.reason, error.host, error.started) for error in (ConnectionLost("x"), CallNotSent("x"))]

    assert values == [(LOST, "", None), (LOST, "", False)]


def test_errors_of_sending() -> None:
    """The kernel's error, and our own, say that not all was sent; one of a signal handler says nothing of the kind."""
    whole: list[BaseException] = [
        of_the_kernel(),
        ConnectionLost("ended"),
        CallTimeout("late"),
        LocalProtocolError("no"),
    ]
    others: list[BaseException] = [TimeoutError("of a handler"), ValueError(), KeyboardInterrupt()]

    assert [is_cut_short(error) for error in whole] == [True] * 4
    assert [is_cut_short(error) for error in others] == [False] * 3
