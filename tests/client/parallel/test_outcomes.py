"""The outcomes that an error stands for: they are found whatever its class does, and leave no garbage."""

from __future__ import annotations

import gc
import traceback
import weakref
from typing import Any

import pytest

from easycluster_client._parallel.outcomes import Outcome, drop_tracebacks, outcomes, raise_first


class Odd(Exception):
    """An error that is equal to everything, cannot be hashed, and takes no attributes."""

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return True

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(name)


class Value:
    """A value that can be weakly referenced."""


def raised(found: list[Outcome]) -> Any:
    """Return the error that outcomes raise."""
    try:
        raise_first(found)
    except Exception as error:
        return error
    return None


@pytest.mark.parametrize("error", [ValueError("no"), KeyError(), Odd("odd"), OSError(2, "no such file")])
def test_error_of_any_class(error: Exception) -> None:
    """The class of the error does not matter."""
    found = [Outcome("a", 1, None), Outcome("b", None, error), Outcome("c", None, Odd())]
    caught = raised(found[:])

    assert caught is error
    assert [each.host for each in outcomes(caught)] == ["a", "b", "c"]
    assert outcomes(caught)[1].error is error
    assert outcomes(caught)[2].error is found[2].error
    assert vars(error) == {}


def test_no_error() -> None:
    """Without an error nothing is raised."""
    found = [Outcome("a", 1, None)]
    raise_first(found)

    assert found == [Outcome("a", 1, None)]


def test_error_that_goes_on() -> None:
    """An error that passes through a second call of this kind has the outcomes of that one."""
    inner = raised([Outcome("inner", None, ValueError("no"))])
    outer = raised([Outcome("outer", 1, None), Outcome("b", None, inner)])

    assert outer is inner
    assert [each.host for each in outcomes(outer)] == ["outer", "b"]


def test_error_of_something_else() -> None:
    """Other errors have no outcomes, and neither has one whose traceback was removed."""
    text = "there are no outcomes for ValueError.'no'.: call_multi or its kin has not raised it, or its traceback"
    with pytest.raises(ValueError, match=text):
        outcomes(ValueError("no"))
    with pytest.raises(ValueError, match=text):
        outcomes(raised([Outcome("a", None, ValueError("no"))]).with_traceback(None))


def test_error_whose_frames_were_cleared() -> None:
    """Where the frames of the traceback were cleared, as `assertRaises` of unittest does, there are no outcomes."""
    error = raised([Outcome("a", None, ValueError("no"))])
    traceback.clear_frames(error.__traceback__)

    with pytest.raises(ValueError, match="there are no outcomes for"):
        outcomes(error)


def test_nothing_is_left() -> None:
    """Values and errors go with the error, without a collection of garbage."""
    value = Value()
    gone = weakref.ref(value)
    gc.disable()
    try:
        error = raised([Outcome("a", value, None), Outcome("b", None, Odd()), raised_before(Odd())])
        del value
        assert gone() is outcomes(error)[0].value
        del error
        assert gone() is None
    finally:
        gc.enable()


def raised_before(error: Exception) -> Outcome:
    """Return the outcome of a call whose error has a traceback."""
    try:
        raise error
    except Odd as caught:
        return Outcome("c", None, caught)


def test_tracebacks_are_dropped() -> None:
    """The errors that are not raised hold no frames."""
    found = [Outcome("a", 1, None), raised_before(Odd())]
    drop_tracebacks(found)

    assert found[1].error is not None
    assert found[1].error.__traceback__ is None


def test_result() -> None:
    """An outcome gives its value, or raises its error."""
    with pytest.raises(KeyError, match="no"):
        Outcome("a", None, KeyError("no")).result()
    assert Outcome("a", 1, None).result() == 1
