"""Options of views that went to the remote function: the error says how to give them."""

from __future__ import annotations

from typing import Any

import pytest

from easycluster_client._calls.misplaced_options import find_misplaced_options

UNEXPECTED = "f() got an unexpected keyword argument {!r}"

LIMIT = "for a time limit of the call itself write easycluster.options(host, timeout=3)"


def explain(message: str, /, **kwargs: Any) -> tuple[str, list[str]]:
    """Return the message, and the stack trace, that a call with these keywords raises here."""
    error, text = TypeError(message), [f"TypeError: {message}\n"]
    found = find_misplaced_options(kwargs, "host")
    assert found is not None
    found.explain(error, text)
    return str(error), text


@pytest.mark.parametrize(
    ("kwargs", "hint"),
    [
        ({"timeout": 3}, LIMIT),
        (
            {"timeout": "3 s"},
            "for a time limit of the call itself write easycluster.options(host, timeout=...)",
        ),
        (
            {"prefetch": 5},
            "to request values ahead write easycluster.options(host.iterator(...), prefetch=5)",
        ),
        (
            {"errors": "return"},
            "to get errors as outcomes write easycluster.options(clients, errors='return')",
        ),
    ],
)
def test_keyword_that_is_not_taken(kwargs: dict[str, Any], hint: str) -> None:
    """The error of a function that does not take the keyword says how to give the option, in its stack trace too."""
    (name,) = kwargs
    message, text = explain(UNEXPECTED.format(name), other=1, **kwargs)

    assert message == f"{UNEXPECTED.format(name)} ({hint})"
    assert text == [f"TypeError: {message}\n"]


@pytest.mark.parametrize(
    "message",
    [
        "len() takes no keyword arguments",
        "T() takes no arguments",
        "g() takes at most 2 keyword arguments (3 given)",
        "'timeout' is an invalid keyword argument for int()",
        UNEXPECTED.format("timeout") + ". Did you mean 'time'?",
    ],
)
def test_other_words(message: str) -> None:
    """Functions in C say the same in other words, and Python proposes other names."""
    assert explain(message, timeout=3)[0] == f"{message} ({LIMIT})"


@pytest.mark.parametrize(
    "message",
    [
        UNEXPECTED.format("other"),
        "unsupported operand",
        "'str' object cannot be interpreted as an integer",
        "",
    ],
)
def test_other_errors(message: str) -> None:
    """An error that is not about the option stays as it is."""
    assert explain(message, timeout=3) == (message, [f"TypeError: {message}\n"])


def test_errors_of_user_code() -> None:
    """An error that user code has raised stays as it is."""
    error, found = TypeError(UNEXPECTED.format("timeout")), find_misplaced_options({"timeout": 3}, "host")
    text = ["Traceback (most recent call last):\n", '  File "x", line 1, in g\n', "TypeError: f() ...\n"]
    assert found is not None
    found.explain(error, text)

    assert str(error) == UNEXPECTED.format("timeout")
    assert len(text) == 3


class OwnError(TypeError):
    """An error of a user's."""


@pytest.mark.parametrize(
    "error",
    [
        OwnError(UNEXPECTED.format("timeout")),
        ValueError(UNEXPECTED.format("timeout")),
        TypeError("takes no", 1),
    ],
)
def test_errors_of_other_kinds(error: Exception) -> None:
    """Only a TypeError that holds nothing but its text is one of a call."""
    before, found = error.args, find_misplaced_options({"timeout": 3}, "host")
    assert found is not None
    found.explain(error, [])

    assert error.args == before


def test_two_options() -> None:
    """Where the error does not say which keyword it means, each one is explained."""
    message, _ = explain("len() takes no keyword arguments", timeout=3, prefetch=5)

    assert message.count("easycluster.options(") == 2


@pytest.mark.parametrize("kwargs", [{}, {"other": 1}])
def test_calls_without_such_keywords(kwargs: dict[str, Any]) -> None:
    """Other keywords are none that could be misplaced."""
    assert find_misplaced_options(kwargs, "host") is None
