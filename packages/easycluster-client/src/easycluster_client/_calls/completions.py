"""Completion functions, which are called when an answer has been read.

They run in the thread that reads, outside of all locks of the library, and may make calls and wait. While
a completion function waits in a call of its own, those of further answers have to wait for its end: otherwise
a thousand answers that come together would nest a thousand functions.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, cast

from easycluster_server._system.error_stream import print_error

if TYPE_CHECKING:
    from types import CodeType

    from easycluster_protocol._types import Value

    #: A function, or a tuple of a function and its further arguments.
    Completion = Callable[[Value], object] | tuple[Value, ...]

    from .owner import Owner


class _HasCode(Protocol):
    """A function that is written in Python."""

    @property
    def __code__(self) -> CodeType: ...


class CompletedResponse(Protocol):
    """A response, as far as messages about its completion functions are concerned."""

    client: Owner
    call_label: str


def check(name: str, completion: Value) -> Completion | None:
    """Return a completion function that has been checked; None: there is none.

    Args:
        name: the name of the option, for the message.
        completion: its value.

    Raises:
        TypeError: the value is neither a function nor a tuple that begins with one.
    """
    if completion is None:
        return None
    function: Value = completion
    if isinstance(completion, tuple):
        function = next(iter(cast("tuple[Any, ...]", completion)), None)  # type: ignore[redundant-cast]
    if not callable(function):
        raise TypeError(
            f"{name} must be a function, or a tuple of a function and further arguments, not {completion!r}"
        )
    return cast("Completion", completion)


def call(completion: Completion, value: Value, response: CompletedResponse) -> None:
    """Call a completion function. An error that it raises is printed, so that other functions are called.

    Args:
        completion: the function.
        value: the first argument.
        response: the response that is complete, for the message.
    """
    try:
        if isinstance(completion, tuple):
            completion[0](value, *completion[1:])
        else:
            completion(value)
    except Exception as error:
        _report(error, response)


def _report(error: Exception, response: CompletedResponse) -> None:
    # Without the first entry, which is that of `call`.
    traceback_inside = error.__traceback__.tb_next if error.__traceback__ is not None else None
    try:
        where = f"{response.call_label} on {response.client.peername}"
        lines = traceback.format_exception(type(error), error, traceback_inside)
    except Exception:  # the error cannot be shown
        return
    print_error(f"Exception in a completion function of {where}:\n{''.join(lines)}")


def is_inside(function: _HasCode, owner: object) -> bool:
    """Return whether this thread is inside ``function``, a method, of ``owner``.

    The stack tells this reliably; an interrupt could leave a flag behind.
    """
    code = function.__code__
    frame = sys._getframe(1).f_back
    while frame is not None:
        if frame.f_code is code and frame.f_locals.get("self") is owner:
            return True
        frame = frame.f_back
    return False
