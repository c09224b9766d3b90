"""Signal handlers that raise, at a place of one's choice.

Unlike `helpers.interrupts`, which strikes before every bytecode, this strikes only where CPython 3.10 and
newer run signal handlers: after calls, at the beginning of functions and at the end of loops. A `with` of a
lock has no such place between its body and the release, so code with locks can be tested, too. And several
handlers can raise one right upon the other, as when a process that was not given the processor for a while
finds several signals waiting.
"""

from __future__ import annotations

import dis
import functools
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Generic, NamedTuple, TypeVar

import pytest

import easycluster_client
import easycluster_protocol
import easycluster_server
import easycluster_server._io.transport

T = TypeVar("T")

_FOLDERS = tuple(
    str(Path(package.__file__ or "").parent) + os.sep
    for package in (easycluster_client, easycluster_protocol, easycluster_server)
)

_LOOKS = ("CALL", "RESUME", "JUMP_BACKWARD", "JUMP_ABSOLUTE", "POP_JUMP_BACKWARD")

#: From 3.11 on a call of a Python function is no call of C.
_INLINES = sys.version_info >= (3, 11)

_SIGNALS = (signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM)


class Struck(BaseException):
    """What the signal handlers raise."""


class Outcome(NamedTuple, Generic[T]):
    """What became of something that was to be interrupted.

    Attributes:
        struck: how many exceptions were raised; none: it has fewer places than that.
        value: what it returned, or None.
        where: the place.
    """

    struck: int
    value: T | None
    where: str


def strike(action: Callable[[], T], at: int, times: int = 1) -> Outcome[T]:
    """Do something and let signal handlers raise in the middle. Only for the main thread.

    Args:
        action: what to do.
        at: the number of the place in our packages, from 1, where the first handler raises.
        times: how many raise; each of the others does so at the place that comes next then.
    """
    striker = _Striker(at, times)
    striker.arm()
    try:
        value: T | None = action()
    except Struck:
        value = None
    striker.raising = False  # no handler can come between the end of the action and this
    striker.disarm()
    return Outcome(striker.struck, value, striker.where)


def places(action: Callable[[int], bool], most: int = 5000) -> int:
    """Call ``action`` with 1, 2, 3 ... until it returns False; return the last number."""
    if sys.gettrace() is not None:
        pytest.skip("something traces already, as coverage does: CPython 3.12 crashes under two tracers")
    _switch_on()
    for at in range(1, most):
        if not action(at):
            return at
    raise AssertionError(f"there seem to be more than {most} places")


class _Striker:
    def __init__(self, at: int, times: int) -> None:
        self._left = at
        self._signals = _SIGNALS[:times]
        self._last: dict[FrameType, str] = {}
        self._trace: Any = None
        self._handlers: dict[signal.Signals, Any] = {}
        self.raising = False
        self.struck = 0
        self.where = "nowhere"

    def arm(self) -> None:
        """Begin to count."""
        for number in self._signals:
            self._handlers[number] = signal.signal(number, self._on_signal)
        self._trace = sys.gettrace()
        self.raising = True
        sys.settrace(self._on_call)

    def disarm(self) -> None:
        """Put everything back as it was."""
        sys.settrace(self._trace)
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._last.clear()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.raising:
            self.struck += 1
            raise Struck

    def _on_call(self, frame: FrameType, event: str, argument: Any) -> Any:
        if _INLINES and frame.f_back is not None:
            self._last[frame.f_back] = "a call of a Python function, after which Python does not look"
        if not self.raising or self.struck or not frame.f_code.co_filename.startswith(_FOLDERS):
            return None
        frame.f_trace_lines = False
        frame.f_trace_opcodes = True
        return self._on_event

    def _on_event(self, frame: FrameType, event: str, argument: Any) -> Any:
        if event == "opcode" and self.raising and not self.struck:
            before = self._last.get(frame, "RESUME")
            operation, same_handler = _operations(frame.f_code)[frame.f_lasti]
            self._last[frame] = operation
            if before.startswith(_LOOKS) and same_handler:
                self._left -= 1
                if self._left == 0:
                    self.where = f"{frame.f_code.co_name}, line {frame.f_lineno}"
                    self._strike()
        elif event == "return":
            self._last.pop(frame, None)
        return self._on_event

    def _strike(self) -> None:
        # All handlers become due at once. The first raises from here, which also ends the tracing;
        # each of the others waits until Python looks again.
        signal.pthread_sigmask(signal.SIG_BLOCK, self._signals)
        for number in self._signals:
            signal.raise_signal(number)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, self._signals)


@functools.cache
def _operations(code: CodeType) -> dict[int, tuple[str, bool]]:
    """From the place of each operation to its name, and whether an exception that is raised there is
    caught where one from the operation before it would be."""
    parse: Any = getattr(dis, "_parse_exception_table", lambda code: ())
    table = parse(code)
    found: dict[int, tuple[str, bool]] = {}
    handler: object = None
    for each in dis.get_instructions(code):
        before, handler = handler, next((t.target for t in table if t.start <= each.offset < t.end), None)
        found[each.offset] = (each.opname, before == handler)
    return found


def _switch_on() -> None:
    """Python 3.12 and 3.13 begin to report bytecodes only after somebody has asked for them once."""
    for _ in range(2):
        strike(lambda: easycluster_server._io.transport.wait(-1, -1, 0), sys.maxsize)
