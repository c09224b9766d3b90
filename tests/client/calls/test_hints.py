"""Hints for slips in the master script: names that the host does not have, keywords that resemble options."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest

from easycluster import define_common
from easycluster_client._calls.hints import explain

NOT_FOUND = "name {!r} is not defined: it is neither in easycluster.remote_code, nor a builtin"
IN_BLOCK = '  File "easycluster.remote_code[1]", line 3, in f\n'
ELSEWHERE = '  File "/usr/lib/python3/x.py", line 3, in f\n'

with_notes = pytest.mark.skipif(sys.version_info < (3, 11), reason="notes came with Python 3.11")


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch, no_definitions: None) -> ModuleType:
    """A master script of no definitions."""
    script = ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", script)
    return script


def find_hint(error: Exception, *frames: str) -> str:
    """Return the addition to the message, which the stack trace has too, or the note."""
    before = str(error)
    text = [*frames, f"{type(error).__name__}: {before}\n"]
    explain(error, text)
    assert text[-1] == f"{type(error).__name__}: {error}\n"
    return str(error)[len(before) :] or "".join(getattr(error, "__notes__", ()))


def test_function_of_the_script(script: Any) -> None:
    """A name that the host does not find says how to send a function of the script."""
    hint = "; no define_common() mentions it; host.call(measure, ...) sends a function of your script"
    assert find_hint(NameError(NOT_FOUND.format("measure"))) == hint
    script.measure = len
    hint = "; it is a function of your script: host.call(measure, ...) sends it"
    assert find_hint(NameError(NOT_FOUND.format("measure"))) == hint


def test_definition_that_was_not_sent(script: Any) -> None:
    """A name that was defined after connecting gets no hint: the message itself says what to do."""
    define_common("def measure(): pass")

    assert find_hint(NameError(NOT_FOUND.format("measure"))) == ""


@with_notes
def test_missing_import(script: Any) -> None:
    """A module of the standard library, or of the script, is to be imported in the definitions."""
    assert find_hint(NameError("name 'time' is not defined"), IN_BLOCK) == (
        "import time in the text given to define_common()"
    )
    script.np = ModuleType("numpy")
    assert find_hint(NameError("name 'np' is not defined"), ELSEWHERE, IN_BLOCK) == (
        "import np in the text given to define_common()"
    )


@with_notes
def test_global_of_the_script(script: Any) -> None:
    """A global of the script is to be defined there too, or to be given as an argument."""
    script.limit = 3
    assert find_hint(NameError("name 'limit' is not defined"), IN_BLOCK) == (
        "limit exists only in your script: define it in the text given to define_common(), or give it to the"
        " function as an argument"
    )


@pytest.mark.parametrize(
    "frames", [pytest.param((IN_BLOCK,), id="unknown"), pytest.param((IN_BLOCK, ELSEWHERE), id="elsewhere")]
)
def test_other_names(script: Any, frames: tuple[str, ...]) -> None:
    """Other names, and modules that other code lacks, get no hint."""
    name = "nowhere" if len(frames) == 1 else "time"
    assert find_hint(NameError(f"name {name!r} is not defined"), *frames) == ""
    assert find_hint(NameError("no name"), *frames) == ""


@pytest.mark.parametrize(
    ("keyword", "option"),
    [
        ("non_blocking", "nonblocking"),
        ("nonBlocking", "nonblocking"),
        ("non_blockng", "nonblocking"),
        ("on_complete", "oncomplete"),
        ("on_error", "onerror"),
        ("thread_id", "threadid"),
        ("orig_exc", "origexc"),
    ],
)
def test_keyword_like_an_option(keyword: str, option: str) -> None:
    """A keyword that the function does not take and that resembles an option is asked for."""
    for message in (
        f"f() got an unexpected keyword argument {keyword!r}",
        f"{keyword!r} is an invalid keyword argument for int()",
    ):
        assert find_hint(TypeError(message)) == f" (did you mean {option}?)"
        assert find_hint(TypeError(message), ELSEWHERE) == "", "user code has raised it"


@pytest.mark.parametrize(
    "error",
    [
        TypeError("f() got an unexpected keyword argument 'block'"),
        TypeError("f() got an unexpected keyword argument 'nonblocking'"),
        TypeError("f() takes no arguments"),
        TypeError(),
        TypeError(3),
        TypeError("a", "b"),
        KeyError("non_blocking"),
    ],
)
def test_other_errors(error: Exception) -> None:
    """Errors about anything else stay as they are."""
    before = repr(error)
    explain(error, [])

    assert repr(error) == before


def test_definitions_of_bytes(script: Any) -> None:
    """Definitions may be bytes, as those of a file: names are found in them, too."""
    code: Any = b"def measure(): pass"
    define_common(code)

    assert find_hint(NameError(NOT_FOUND.format("measure"))) == ""
    assert "no define_common() mentions it" in find_hint(NameError(NOT_FOUND.format("other")))
