"""The keywords that a call takes for itself, and the options of calls that have no other keywords."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from easycluster_protocol._constants import SINGLE, SINGLE_THREAD

if TYPE_CHECKING:
    from easycluster_protocol._types import Value


#: The keywords that a call takes for itself, in the order in which some methods take them by position; all
#: others are the remote function's.
OPTIONS = ("nonblocking", "oncomplete", "onerror", "threadid", "origexc")

#: Where the function's own keywords stand apart, there is one more: how long to wait for the answer,
#: in seconds.
ALL_OPTIONS = (*OPTIONS, "timeout")

#: The options of a call whose caller does not wait.
UNATTENDED = ("nonblocking", "oncomplete", "onerror")

#: The options of a call that has none.
NO_OPTIONS: Mapping[str, Value] = {}

#: The methods that take the function's own keywords as a dictionary.
_KWARGS_APART = ("raw_call", "raw_call_method", "send_request")


def options_of(label: str, positional: tuple[Value, ...], options: dict[str, Value]) -> dict[str, Value]:
    """Return the options of a call that has no other keywords.

    Args:
        label: the name of the method, for messages.
        positional: options that were given by position, in the order of `OPTIONS`.
        options: options that were given by name.

    Raises:
        TypeError: there are too many, one was given twice, or there is none of that name.
    """
    if len(positional) > len(OPTIONS):
        raise TypeError(
            f"{label}() takes {len(OPTIONS)} options at most, {len(positional)} were given by position"
        )
    by_position = dict(zip(OPTIONS, positional, strict=False))
    for name in options:
        if name in by_position:
            raise TypeError(f"{label}() got multiple values for argument {name!r}")
        if name not in ALL_OPTIONS:
            text = (
                f"{label}() got an unexpected keyword argument {name!r}: options are {', '.join(ALL_OPTIONS)}"
            )
            raise TypeError(
                text + ("; arguments of the function go into kwargs=" if label in _KWARGS_APART else "")
            )
    return {**by_position, **options}


def thread_of(threadid: Value, default: int | None = None) -> int:
    """Return the number of a server thread as it is written on the wire.

    Args:
        threadid: the value that a script gives.
        default: the thread that None stands for, if it stands for one.

    Raises:
        TypeError: it is no number of a thread.
    """
    if threadid is None and default is not None:
        return default
    if threadid is SINGLE:
        return SINGLE_THREAD
    try:
        number = operator.index(cast("Any", threadid))  # NumPy's integers are some, too
        if -(1 << 63) < number < 1 << 63:
            return number
    except TypeError:
        pass
    raise TypeError(
        f"threadid must be an integer (of less than 64 bits) or easycluster.SINGLE, not {threadid!r}"
    )
