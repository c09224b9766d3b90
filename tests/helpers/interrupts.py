"""Exceptions between two bytecodes, as signal handlers that raise cause them, at a place of one's choice."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType, TracebackType
from typing import Any

from easycluster_protocol._wire import frames

PACKAGE = str(Path(frames.__file__).parent) + os.sep

#: Called before each bytecode, or each line, with the code that it belongs to.
Observer = Callable[[CodeType], None]


class Interrupted(BaseException):
    """Stands for a KeyboardInterrupt."""


class Interrupter:
    """In one of its contexts, raises `Interrupted` once: before the bytecode of a certain number.

    Only bytecodes of easycluster_protocol count, so a fake transport in a test is as indivisible as the
    C call of a real one.

    Args:
        turn: in which of the contexts that are entered one after the other, from 0. Only that one is slow.
        at: the number of the bytecode there, from 1.

    Attributes:
        turns: how many contexts were entered.
    """

    def __init__(self, turn: int, at: int) -> None:
        self.turns = 0
        self._turn = turn
        self._left = at

    @property
    def struck(self) -> bool:
        """Whether the exception was raised."""
        return self._left <= 0

    def __enter__(self) -> None:
        if self.turns == self._turn:
            _observe(self._count)
        self.turns += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.turns == self._turn + 1:
            _observe(None)

    def _count(self, code: CodeType) -> None:
        self._left -= 1
        if self._left == 0:
            raise Interrupted(f"in {code.co_name}")


def every_interrupt(least: int) -> Iterator[Interrupter]:
    """Yield an interrupter for each bytecode of what is done with it, each time from the start.

    While coverage is measured, for each line only: Python 3.12 crashes when one tool asks for lines and
    another for bytecodes.

    Args:
        least: how many lines there must be, or else the counting does not work.
    """
    strikes = 0
    with _observable("opcode" if sys.gettrace() is None else "line"):
        for turn in itertools.count():
            for at in itertools.count(1):
                interrupter = Interrupter(turn, at)
                yield interrupter
                if not interrupter.struck:
                    break
                strikes += 1
            if interrupter.turns <= turn:
                break
    assert strikes >= least, f"there were only {strikes}"


if sys.version_info >= (3, 12):
    _TOOL = 4  # any that neither debuggers, nor coverage, nor profilers use
    _EVENTS = {"opcode": sys.monitoring.events.INSTRUCTION, "line": sys.monitoring.events.LINE}
    _event = 0

    @contextmanager
    def _observable(unit: str) -> Iterator[None]:
        """Make the code of the package ready to be observed."""
        global _event
        _event = _EVENTS[unit]
        codes = _codes()
        sys.monitoring.use_tool_id(_TOOL, "easycluster tests")
        try:
            for code in codes:
                sys.monitoring.set_local_events(_TOOL, code, _event)
            yield
        finally:
            _observe(None)
            for code in codes:
                sys.monitoring.set_local_events(_TOOL, code, 0)
            sys.monitoring.free_tool_id(_TOOL)

    def _observe(observer: Observer | None) -> None:
        callback = None if observer is None else lambda code, _place: observer(code)
        sys.monitoring.register_callback(_TOOL, _event, callback)

    def _codes() -> list[CodeType]:
        """The code of every function of the package."""
        found: list[CodeType] = []
        for name, module in list(sys.modules.items()):
            if name.startswith("easycluster_protocol."):
                for value in vars(module).values():
                    _add_codes(value, found)
        return found

    def _add_codes(value: Any, found: list[CodeType]) -> None:
        if isinstance(value, type):
            if value.__module__.startswith("easycluster_protocol."):
                for member in vars(value).values():
                    _add_codes(member, found)
            return
        for name in ("__wrapped__", "__func__", "fget"):
            value = getattr(value, name, value)
        code = value if isinstance(value, CodeType) else getattr(value, "__code__", None)
        if isinstance(code, CodeType) and code.co_filename.startswith(PACKAGE) and code not in found:
            found.append(code)
            for constant in code.co_consts:
                _add_codes(constant, found)

else:
    _unit = ""

    @contextmanager
    def _observable(unit: str) -> Iterator[None]:
        """Make the code of the package ready to be observed."""
        global _unit
        _unit = unit
        before = sys.gettrace()
        try:
            yield
        finally:
            sys.settrace(before)

    def _observe(observer: Observer | None) -> None:
        def on_call(frame: FrameType, event: str, argument: Any) -> Any:
            if not frame.f_code.co_filename.startswith(PACKAGE):
                return None
            frame.f_trace_lines = _unit == "line"
            frame.f_trace_opcodes = _unit == "opcode"
            return on_event

        def on_event(frame: FrameType, event: str, argument: Any) -> Any:
            if event == _unit and observer is not None:
                observer(frame.f_code)
            return on_event

        sys.settrace(None if observer is None else on_call)
