"""The options of calls: which there are, how they are given, and how a server thread is named."""

from __future__ import annotations

import re
from typing import Any

import pytest

from easycluster_client._calls.keywords import (
    ALL_OPTIONS,
    NO_OPTIONS,
    OPTIONS,
    asks_to_wait,
    check_modes,
    check_origexc,
    encode_threadid,
    parse_options,
)
from easycluster_protocol._constants import SINGLE, SINGLE_THREAD


def message(name: str) -> str:
    """What is said of an option that does not exist, up to its end."""
    return (
        f"f() got an unexpected keyword argument '{name}': options are nonblocking, oncomplete, onerror,"
        " threadid, origexc, timeout"
    )


# Whether the caller waits.


class Falsy:
    """A function that is false, as one with a length of 0 may be."""

    def __len__(self) -> int:
        return 0

    def __call__(self, *_: Any) -> None: ...


@pytest.mark.parametrize(
    "options",
    [{}, {"nonblocking": False, "oncomplete": None, "onerror": None}, {"threadid": 1, "timeout": 5}],
)
def test_calls_that_wait(options: dict[str, Any]) -> None:
    """Without nonblocking and without functions the caller waits."""
    assert asks_to_wait(options)


@pytest.mark.parametrize(
    "options", [{"nonblocking": 1}, {"oncomplete": print}, {"onerror": print}, {"oncomplete": Falsy()}]
)
def test_calls_that_do_not_wait(options: dict[str, Any]) -> None:
    """Any function is one, whatever its truth."""
    assert not asks_to_wait(options)


# Values that mean something else.


@pytest.mark.parametrize("options", [{}, {"nonblocking": 1, "origexc": None}, {"nonblocking": None}])
def test_modes(options: dict[str, Any]) -> None:
    """Truth values and nothing at all are good for `nonblocking` and `origexc`."""
    check_modes(options)


@pytest.mark.parametrize("origexc", [None, True, False, 0, 1, "quiet"])
def test_good_origexc(origexc: Any) -> None:
    """`origexc` is a truth value or the one text."""
    check_origexc(origexc)


@pytest.mark.parametrize("origexc", ["quite", "", "False", 5, 0.5, -1])
def test_bad_origexc(origexc: Any) -> None:
    """Any other text or number was meant as something else, which the error may say."""
    with pytest.raises(ValueError, match=r"^origexc must be True, False or 'quiet', not .*; perhaps this$"):
        check_origexc(origexc, "; perhaps this")
    with pytest.raises(ValueError, match=r"^origexc must be True, False or 'quiet', not "):
        check_modes({"origexc": origexc})


@pytest.mark.parametrize("nonblocking", ["no", "False", ""])
def test_text_for_nonblocking(nonblocking: str) -> None:
    """A text says nothing about whether to wait."""
    with pytest.raises(TypeError, match=f"^nonblocking must be True or False, not '{nonblocking}'$"):
        check_modes({"nonblocking": nonblocking})


@pytest.mark.parametrize("first", [{"x": 1}, "text", print, [1]], ids=["dict", "str", "function", "list"])
def test_something_else_by_position(first: Any) -> None:
    """What is no truth value is not taken for the first option, as the namespace of `eval` would be."""
    with pytest.raises(TypeError) as raised:
        parse_options("eval", (first,), {})

    assert str(raised.value) == (
        f"the first option of eval() is nonblocking, True or False, not {type(first).__name__}: options are"
        " nonblocking, oncomplete, onerror, threadid, origexc"
    )


# Options by position and by name.


def test_no_option_is_given() -> None:
    """A call without options has an empty dictionary of its own, not the one that all such calls share."""
    found = parse_options("f", (), {})

    assert found == {}
    assert found is not NO_OPTIONS
    assert NO_OPTIONS == {}


def test_all_options_by_position() -> None:
    """By position come, in this order, the options that every call takes; the time limit has no place."""
    assert parse_options("f", (1, 2, 3, 4, 5), {}) == {
        "nonblocking": 1,
        "oncomplete": 2,
        "onerror": 3,
        "threadid": 4,
        "origexc": 5,
    }


def test_all_options_by_name() -> None:
    """Each option can be given by name, the time limit too."""
    given = {name: object() for name in ALL_OPTIONS}

    assert parse_options("f", (), given) == given
    assert set(ALL_OPTIONS) - set(OPTIONS) == {"timeout"}


def test_options_by_position_and_by_name() -> None:
    """The first options may be given by position and others by name; the dictionary that was given stays as it is."""
    given: dict[str, Any] = {"timeout": 3, "origexc": False}

    assert parse_options("f", (True,), given) == {"nonblocking": True, "timeout": 3, "origexc": False}
    assert given == {"timeout": 3, "origexc": False}


def test_too_many_options_by_position() -> None:
    """One option more than there are places for is an error that counts them."""
    with pytest.raises(TypeError) as caught:
        parse_options("f", (None,) * 6, {})

    assert str(caught.value) == "f() takes 5 options at most, 6 were given by position"


def test_option_that_is_given_twice() -> None:
    """An option by position and by name is an error, as it is for functions, even if both values are None."""
    with pytest.raises(TypeError, match=r"^f\(\) got multiple values for argument 'oncomplete'$"):
        parse_options("f", (None, None), {"oncomplete": None})


@pytest.mark.parametrize("name", ["x", "", "Timeout", "kwargs"])
def test_option_that_does_not_exist(name: str) -> None:
    """A name that is no option is an error that lists the options."""
    with pytest.raises(TypeError) as caught:
        parse_options("f", (), {"timeout": 1, name: 1})

    assert str(caught.value) == message(name)


@pytest.mark.parametrize("label", ["raw_call", "raw_call_method", "send_request"])
def test_argument_of_the_function_among_the_options(label: str) -> None:
    """A method that takes the keywords of the function as a dictionary says where they belong."""
    with pytest.raises(TypeError) as caught:
        parse_options(label, (), {"x": 1})

    said = message("x").replace("f()", f"{label}()")
    assert str(caught.value) == f"{said}; arguments of the function go into kwargs="


# Server threads.


class Index:
    """An integer that is no `int`, as those of NumPy."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def __index__(self) -> Any:
        return self._value

    def __repr__(self) -> str:
        return f"Index({self._value!r})"


@pytest.mark.parametrize(
    ("threadid", "number"),
    [
        (0, 0),
        (-1, -1),
        (True, 1),
        (Index(7), 7),
        ((1 << 63) - 1, (1 << 63) - 1),
        (1 - (1 << 63), 1 - (1 << 63)),
        (SINGLE, SINGLE_THREAD),
    ],
)
def test_threads_that_can_be_named(threadid: Any, number: int) -> None:
    """Integers of less than 64 bits name threads, with a default or without, and SINGLE has a number of its own."""
    assert encode_threadid(threadid) == number
    assert encode_threadid(threadid, 5) == number


@pytest.mark.parametrize("default", [0, 5])
def test_no_thread_is_named(default: int) -> None:
    """None stands for the default, even if that is the main thread, 0."""
    assert encode_threadid(None, default) == default


@pytest.mark.parametrize(
    "threadid", [None, 1.0, "1", Index("1"), 1 << 63, -(1 << 63), SINGLE_THREAD, object], ids=repr
)
def test_values_that_name_no_thread(threadid: Any) -> None:
    """Anything else is an error that shows the value; None too, where there is no default."""
    said = f"threadid must be an integer (of less than 64 bits) or easycluster.SINGLE, not {threadid!r}"
    with pytest.raises(TypeError, match=f"^{re.escape(said)}$"):
        encode_threadid(threadid)


def test_error_in_the_index_of_a_value() -> None:
    """An error other than TypeError that a value of the script raises is not hidden."""

    class Bad:
        def __index__(self) -> int:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        encode_threadid(Bad())
