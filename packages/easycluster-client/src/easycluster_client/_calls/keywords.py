"""The keywords of a call that are ours: their names, and how they are given where a call has no others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: The keywords of a call that are ours, in the order in which some methods take them by position; all others
#: are the remote function's.
OPTIONS = ("nonblocking", "oncomplete", "onerror", "threadid", "origexc")

#: Where the function's own keywords stand apart, there is one more: how long to wait for the answer,
#: in seconds.
ALL_OPTIONS = (*OPTIONS, "timeout")

#: The options of a call whose caller does not wait.
UNATTENDED = ("nonblocking", "oncomplete", "onerror")

#: Those of a call without any.
NO_OPTIONS: Mapping[str, Any] = {}

#: What takes the function's own keywords as a dictionary.
_KWARGS_APART = ("raw_call", "raw_call_method", "send_request")


def options_of(what: str, given: tuple[Any, ...], options: dict[str, Any]) -> dict[str, Any]:
    """Return the options of a call that has no other keywords.

    Args:
        what: what is called, for messages.
        given: those that were given by position, in the order of `OPTIONS`.
        options: those that were given by name.

    Raises:
        TypeError: there are too many, one was given twice, or there is none of that name.
    """
    if len(given) > len(OPTIONS):
        raise TypeError(f"{what}() takes {len(OPTIONS)} options at most, {len(given)} were given by position")
    by_position = dict(zip(OPTIONS, given, strict=False))
    for name in options:
        if name in by_position:
            raise TypeError(f"{what}() got multiple values for argument {name!r}")
        if name not in ALL_OPTIONS:
            text = (
                f"{what}() got an unexpected keyword argument {name!r}: options are {', '.join(ALL_OPTIONS)}"
            )
            raise TypeError(
                text + ("; arguments of the function go into kwargs=" if what in _KWARGS_APART else "")
            )
    return {**by_position, **options}
