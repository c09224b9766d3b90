from __future__ import annotations

import asyncio
import signal
import threading
from types import FrameType
from typing import Any

import pytest

from easycluster_server._serving.coroutines import run_coroutine


async def double(value: Any) -> Any:
    """Return a value twice, after a step of the loop."""
    await asyncio.sleep(0)
    return value * 2


async def get_loop() -> Any:
    """Return the loop that runs."""
    return asyncio.get_running_loop()


def test_value_and_error() -> None:
    """A coroutine runs to its end: its value, or its error."""
    assert run_coroutine(double(5)) == 10
    with pytest.raises(TypeError):
        run_coroutine(double(None))


def test_loops() -> None:
    """A thread keeps its loop, unless it was closed, and no other thread has it."""
    loop = run_coroutine(get_loop())
    assert run_coroutine(get_loop()) is loop
    others: list[Any] = []
    thread = threading.Thread(target=lambda: others.append(run_coroutine(get_loop())))
    thread.start()
    thread.join()
    assert others[0] is not loop
    for each in (loop, others[0]):
        each.close()

    assert run_coroutine(get_loop()) is not loop
    run_coroutine(get_loop()).close()


def test_running_loop() -> None:
    """Inside a running loop there is an error that says so."""

    async def outer() -> None:
        run_coroutine(double(5))

    with pytest.raises(RuntimeError, match="an event loop is running in this thread"):
        run_coroutine(outer())


def test_interrupt() -> None:
    """An interrupt ends the coroutine, whose `finally` blocks run, and the next one runs as ever."""
    events: list[str] = []

    async def hang() -> None:
        try:
            signal.raise_signal(signal.SIGALRM)
            await asyncio.Event().wait()
        finally:
            events.append("finally")

    def handle(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, handle)
    try:
        with pytest.raises(KeyboardInterrupt):
            run_coroutine(hang())
    finally:
        signal.signal(signal.SIGALRM, before)

    assert events == ["finally"]
    assert run_coroutine(double(1)) == 2
