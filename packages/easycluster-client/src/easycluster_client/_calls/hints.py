"""Hints for errors of remote code whose cause is often a slip in the master script."""

from __future__ import annotations

import builtins
import difflib
import re
import sys
from types import ModuleType
from typing import TYPE_CHECKING

from easycluster_client._address import add_note
from easycluster_protocol._definitions import modules

from .keywords import OPTIONS

if TYPE_CHECKING:
    from easycluster_protocol._types import Value

#: The error of a server that looks for the function of a call.
_NO_FUNCTION = re.compile(r"name '(\w+)' is not defined: it is neither ")
#: The error of code that uses a name.
_NO_NAME = re.compile(r"name '(\w+)' is not defined")
#: The errors of functions that do not take a keyword; functions in C have words of their own.
_NO_KEYWORD = re.compile(r"unexpected keyword argument '(\w+)'|'(\w+)' is an invalid keyword argument")

#: The line of a stack trace that names a block of definitions.
_IN_BLOCK = re.compile(r'  File "[\w.]+\[\d+\]", line ')

#: How similar a keyword must be to an option.
_SIMILARITY = 0.9


def explain(error: BaseException, text: list[str]) -> None:
    """Add a hint to an error of remote code, if a slip in the master script explains it.

    Args:
        error: the error.
        text: its remote stack trace; what becomes a part of the message stands there, too.
    """
    cls = type(error)
    if cls is not NameError and cls is not TypeError:
        return
    message = error.args[0] if len(error.args) == 1 else None
    if not isinstance(message, str):
        return
    frames = [line for line in text if line.startswith("  File ")]
    if frames:
        if cls is NameError and _IN_BLOCK.match(frames[-1]):
            _explain_name(error, message)
        return
    hint = _find_function_hint(message) if cls is NameError else _find_keyword_hint(message)
    if hint:
        error.args = (message + hint,)
        text[:] = [line.replace(message, message + hint) for line in text]


def _find_function_hint(message: str) -> str:
    """Return the hint for a function that the server does not find."""
    found = _NO_FUNCTION.match(message)
    if found is None or any(_mentions(each.source, found[1]) for each in modules.defined_blocks):
        return ""  # the message speaks of definitions that were not sent
    if callable(_find_in_script(found[1])):
        return f"; it is a function of your script: host.call({found[1]}, ...) sends it"
    return f"; no define_common() mentions it; host.call({found[1]}, ...) sends a function of your script"


def _mentions(source: str | bytes, name: str) -> bool:
    text = source.decode("utf-8", "replace") if isinstance(source, bytes) else source
    return re.search(rf"\b{name}\b", text) is not None


def _find_keyword_hint(message: str) -> str:
    """Return the hint for a keyword that resembles an option of calls."""
    found = _NO_KEYWORD.search(message)
    keyword = (found[1] or found[2]) if found is not None else ""
    plain = keyword.replace("_", "").lower()
    similar = difflib.get_close_matches(plain, OPTIONS, 1, _SIMILARITY)
    return f" (did you mean {similar[0]}?)" if similar and keyword != similar[0] else ""


def _explain_name(error: BaseException, message: str) -> None:
    """Add the note for a name that a block of definitions uses, and that exists in the script only."""
    found = _NO_NAME.fullmatch(message)
    if found is None or hasattr(builtins, found[1]):
        return
    value = _find_in_script(found[1])
    if found[1] in sys.stdlib_module_names or isinstance(value, ModuleType):
        add_note(error, f"import {found[1]} in the text given to define_common()")
    elif value is not None:
        add_note(
            error,
            f"{found[1]} exists only in your script: define it in the text given to define_common(), or give"
            " it to the function as an argument",
        )


def _find_in_script(name: str) -> Value:
    """Return a global of the master script, or None."""
    script = sys.modules.get("__main__")
    return None if script is None else vars(script).get(name)
