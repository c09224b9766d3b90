"""Options of views that were given to a call, and went to the remote function, which does not take them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from easycluster_protocol._types import Kwargs, Value

#: The options that only views have: what each is for, and what has such a view, if not the host or the proxy.
_VIEW_OPTIONS = {
    "timeout": ("for a time limit of the call itself", None),
    "prefetch": ("to request values ahead", "host.iterator(...)"),
    "errors": ("to get errors as outcomes", "clients"),
}

#: The texts of errors about the keywords of a call; those of C functions do not always name them.
_ABOUT_KEYWORDS = re.compile(r"takes (?:no|at most|exactly|\d)|keyword argument")
_QUOTED = re.compile(r"'(\w+)'")


class MisplacedOptions:
    """The keywords of a call that are options of views, too.

    Args:
        kwargs: the keywords of the remote function.
        target: the word for the object whose view has the options: "host" or "proxy".
    """

    def __init__(self, kwargs: Kwargs, target: str) -> None:
        self._options = {name: kwargs[name] for name in _VIEW_OPTIONS if name in kwargs}
        self._target = target

    def explain(self, error: BaseException, text: list[str]) -> None:
        """Add a hint to the error of the call, if the function does not take one of these keywords.

        Args:
            error: the error.
            text: its remote stack trace, which gets the hint too.
        """
        if type(error) is not TypeError or any(line.startswith("  File ") for line in text):
            return  # user code has raised it
        message = str(error)
        if error.args != (message,) or not _ABOUT_KEYWORDS.search(message):
            return
        quoted = _QUOTED.findall(message)
        hints = [self._advise(name) for name in self._options if not quoted or name in quoted]
        if hints:
            explained = f"{message} ({'; '.join(hints)})"
            error.args = (explained,)
            text[:] = [line.replace(message, explained) for line in text]

    def _advise(self, name: str) -> str:
        purpose, target = _VIEW_OPTIONS[name]
        value: Value = self._options[name]
        shown = repr(value) if type(value) in {int, float} or value == "return" else "..."
        return f"{purpose} write easycluster.options({target or self._target}, {name}={shown})"


def find_misplaced_options(kwargs: Kwargs, target: str) -> MisplacedOptions | None:
    """Return the keywords of a call that may be misplaced options; None: there are none."""
    return None if _VIEW_OPTIONS.keys().isdisjoint(kwargs) else MisplacedOptions(kwargs, target)
