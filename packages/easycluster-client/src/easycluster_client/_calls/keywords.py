"""The keywords that every call takes for itself, and the options of calls that take no others."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from easycluster_protocol._constants import SINGLE, SINGLE_THREAD

if TYPE_CHECKING:
    from easycluster_protocol._types import Value


#: The keywords that every call takes for itself, in the order in which some methods take them by position;
#: all other keywords belong to the remote function.
OPTIONS = ("nonblocking", "oncomplete", "onerror", "threadid", "origexc")

#: The options of a call that takes no keywords of the remote function: one more, how long to wait for the
#: answer, in seconds.
ALL_OPTIONS = (*OPTIONS, "timeout")

#: The option that only views give to their calls: whether values in the memory of devices, such as GPUs, may
#: be copied.
DEVICE_MEMORY = "device_memory"

#: The option that only views give to their calls: whether a call that does not end in time is cancelled.
CANCEL = "cancel"

#: With one of these options the caller of a call does not wait for the answer, see `asks_to_wait`.
NO_WAIT_OPTIONS = ("nonblocking", "oncomplete", "onerror")

#: The options of a call that has none.
NO_OPTIONS: Mapping[str, Value] = {}

#: The methods that take the keywords of the remote function as a dictionary.
_METHODS_WITH_KWARGS = ("raw_call", "raw_call_method", "send_request")


def asks_to_wait(options: Mapping[str, Value]) -> bool:
    """Return whether the caller of a call with these options waits for the answer."""
    # Completion functions may have a truth value of their own, or none, as names on a server do.
    return not (
        options.get("nonblocking")
        or options.get("oncomplete") is not None
        or options.get("onerror") is not None
    )


def check_modes(options: Mapping[str, Value]) -> None:
    """Raise an error for values of ``nonblocking`` and ``origexc`` that would mean something else in silence.

    Raises:
        TypeError: ``nonblocking`` is a text: any text is true.
        ValueError: see `check_origexc`.
    """
    nonblocking = options.get("nonblocking")
    if isinstance(nonblocking, str):
        raise TypeError(f"nonblocking must be True or False, not {nonblocking!r}")
    if "origexc" in options:
        check_origexc(options["origexc"])


def check_origexc(origexc: Value, advice: str = "") -> None:
    """Raise `ValueError` for a text other than ``"quiet"`` and for a number that is no truth value.

    Args:
        origexc: the value of the option.
        advice: what else may have been meant.
    """
    if isinstance(origexc, (str, int, float)) and origexc not in {"quiet", 0, 1}:
        raise ValueError(f"origexc must be True, False or 'quiet', not {origexc!r}{advice}")


def parse_options(label: str, positional: tuple[Value, ...], options: dict[str, Value]) -> dict[str, Value]:
    """Return the options of a call that takes no other keywords.

    Args:
        label: the name of the method, for messages.
        positional: the options that were given by position, in the order of `OPTIONS`.
        options: the options that were given by name.

    Raises:
        TypeError: there are too many options, one was given twice, there is no option of that name, or the
            first by position, which is ``nonblocking``, was meant as something else.
    """
    if positional:
        first: object = positional[0]
        if not hasattr(type(first), "__bool__"):  # texts, containers and functions
            raise TypeError(
                f"the first option of {label}() is nonblocking, True or False, not {type(first).__name__}:"
                f" options are {', '.join(OPTIONS)}"
            )
    if len(positional) > len(OPTIONS):
        raise TypeError(
            f"{label}() takes {len(OPTIONS)} options at most, {len(positional)} were given by position"
        )
    by_position = dict(zip(OPTIONS, positional, strict=False))
    for name in options:
        if name in by_position:
            raise TypeError(f"{label}() got multiple values for argument {name!r}")
        if name not in (*ALL_OPTIONS, DEVICE_MEMORY, CANCEL):
            text = (
                f"{label}() got an unexpected keyword argument {name!r}: options are {', '.join(ALL_OPTIONS)}"
            )
            if label in _METHODS_WITH_KWARGS:
                text += "; arguments of the function go into kwargs="
            raise TypeError(text)
    return {**by_position, **options}


def encode_threadid(threadid: Value, default: int | None = None) -> int:
    """Return the number by which messages name a server thread.

    Args:
        threadid: the value of the option ``threadid``.
        default: the thread that None stands for; without it None is an error.

    Raises:
        TypeError: the value does not name a thread.
    """
    if threadid is None and default is not None:
        return default
    if threadid is SINGLE:
        return SINGLE_THREAD
    try:
        number = operator.index(cast("Any", threadid))  # integers of NumPy have an index, too
        if -(1 << 63) < number < 1 << 63:
            return number
    except TypeError:
        pass
    raise TypeError(
        f"threadid must be an integer (of less than 64 bits) or easycluster.SINGLE, not {threadid!r}"
    )
