"""What is said of values that could not be rebuilt."""

from __future__ import annotations

import platform
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from easycluster_client._calls.rebuilding import complete, explain_answer
from easycluster_protocol._values.serialize import explain_loads
from easycluster_protocol.errors import CompletionError

ARRIVED = "the result of f on h1 arrived but cannot be rebuilt here"
HERE = f"Python {platform.python_version()}"
THERE = "Python 3.8.18, NumPy 1.24.4"


class Calls:
    """A maker of calls that answers one question."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.asked = 0

    def operation(self, *_: Any) -> Any:
        """Answer."""
        self.asked += 1
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer


def explained(error: BaseException, answer: Any = "1.24.4") -> tuple[str, int]:
    """The text for an answer that cannot be rebuilt, and how often the server was asked."""
    peer = SimpleNamespace(python="3.8.18")
    session: Any = SimpleNamespace(peername="h1", link=SimpleNamespace(agreement=SimpleNamespace(peer=peer)))
    calls: Any = Calls(answer)
    return str(explain_answer("the result of f", error, session, calls)), calls.asked


def test_answers() -> None:
    """The text names the host and the Pythons of both ends; of NumPy it speaks where that matters."""
    assert explained(ValueError("bad")) == (
        f"{ARRIVED} ({HERE}): ValueError: bad (it was sent by Python 3.8.18)",
        0,
    )
    assert explained(ImportError("numpy")) == (
        f"{ARRIVED} ({HERE}, NumPy {np.__version__}): ImportError: numpy (it was sent by {THERE})",
        1,
    )


@pytest.mark.parametrize("error", [KeyError("numpy"), ConnectionError(), CompletionError()], ids=repr)
def test_a_host_that_does_not_say(error: BaseException) -> None:
    """Where the host has no NumPy, is gone, or must not be waited for, its version is left out."""
    assert explained(ImportError("numpy"), error)[0].endswith("(it was sent by Python 3.8.18)")


def test_an_answer_that_cannot_be_rebuilt_either() -> None:
    """A host whose every answer mentions NumPy, and cannot be rebuilt, is asked once for each."""
    session: Any = SimpleNamespace(
        peername="h1", link=SimpleNamespace(agreement=SimpleNamespace(peer=SimpleNamespace(python="3.8.18")))
    )

    class Endless(Calls):
        """Explains its own answer, which cannot be rebuilt."""

        def operation(self, *_: Any) -> Any:
            self.asked += 1
            raise explain_answer("the result of eval", ImportError("numpy"), session, self)  # type: ignore[arg-type]

    calls: Any = Endless(None)
    for count in (1, 2):
        text = str(explain_answer("the result of f", ImportError("numpy"), session, calls))
        assert text.endswith("(it was sent by Python 3.8.18)")
        assert calls.asked == count


@pytest.mark.parametrize("answer", ["1" * 1000, ["1.24.4"], None])
def test_odd_versions(answer: Any) -> None:
    """What is no version is left out."""
    assert explained(ImportError("numpy"), answer)[0].endswith("(it was sent by Python 3.8.18)")


def test_arguments() -> None:
    """The error of a host gets the host's name, and the versions here."""
    error = explain_loads("argument 2 of f", ImportError("No module named 'numpy'"))

    complete(error, "h1")

    both = f"{HERE}, NumPy {np.__version__}"
    assert str(error) == (
        f"argument 2 of f arrived but cannot be rebuilt on h1 ({both}): "
        f"ImportError: No module named 'numpy' (it was sent by {both})"
    )


def test_other_errors() -> None:
    """Errors of other kinds, also of the user's code, stay as they are."""
    error = ValueError("own")
    vars(error).update(label=1, reason=2, receiver=3)

    complete(error, "h1")

    assert str(error) == "own"
