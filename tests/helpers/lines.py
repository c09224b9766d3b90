"""An exception before a certain line of one module, as a signal handler that raises causes it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, ModuleType
from typing import Any

from helpers.interrupts import Interrupted


class Interruption:
    """Whether the exception has come.

    Attributes:
        struck: whether it has.
    """

    struck = False


@contextmanager
def interrupt_at(module: ModuleType, number: int) -> Iterator[Interruption]:
    """Within this context, raise `Interrupted` before the line of the module that is the ``number``-th to be run.

    The exception ends the context quietly.
    """
    interruption = Interruption()
    left = number

    def on_call(frame: FrameType, event: str, argument: Any) -> Any:
        return on_line if frame.f_code.co_filename == module.__file__ else None

    def on_line(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal left
        if event == "line":
            left -= 1
            if left == 0:
                interruption.struck = True
                raise Interrupted
        return on_line

    before = sys.gettrace()
    sys.settrace(on_call)
    try:
        yield interruption
    except Interrupted:
        pass
    finally:
        sys.settrace(before)
