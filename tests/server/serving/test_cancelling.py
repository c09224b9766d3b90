"""Calls that the client cancels: in a queue, in the main thread and in others; each still has one answer."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from easycluster_protocol._constants import SINGLE_THREAD
from easycluster_protocol.errors import CallCancelled
from easycluster_server._serving.cancelling import cancel
from easycluster_server._serving.job import CANCELLER, RUNNER, Cancelled, take
from easycluster_server._serving.threads import ThreadJob
from helpers.executors import Parts, end_threads, request
from helpers.waiting import PATIENCE, wait_until


@pytest.fixture
def parts() -> Iterator[Parts]:
    """An executor without a session."""
    parts = Parts()
    yield parts
    end_threads(parts.executor)


def ways(parts: Parts) -> list[Any]:
    """The answers, and for each cancelled call the step that ended it."""
    return [getattr(body, "cancelled_by", body) for body in parts.channel.bodies()]


def spin(entered: threading.Event) -> None:
    """Run Python code for ever."""
    entered.set()
    wait_until(lambda: False)


def test_first_taker() -> None:
    """A call belongs to whoever takes it first, and taking it again changes nothing."""
    call = request(1, None)

    assert take(call, CANCELLER)
    assert take(call, CANCELLER)
    assert not take(call, RUNNER)


@pytest.mark.parametrize("thread", [0, 7])
def test_call_that_waits(parts: Parts, thread: int) -> None:
    """It is answered at once, never runs, and harms neither the call before it nor the one behind it."""
    gate, entered = threading.Event(), threading.Event()

    def first() -> str:
        entered.set()
        assert gate.wait(PATIENCE)
        return "first"

    calls = [
        request(1, first, thread),
        request(2, lambda: "second", thread),
        request(3, lambda: "third", thread),
    ]
    for call in calls:
        parts.executor.deliver(call)
    runner = threading.Thread(target=lambda: any(map(parts.executor.main.serve, calls)))
    if thread == 0:
        runner.start()
    assert entered.wait(PATIENCE)
    for _ in range(2):  # a message may be delivered twice
        parts.executor.cancel(2)

    assert set(ways(parts)) == {"not begun"}
    assert calls[1].body == b""
    gate.set()
    wait_until(lambda: len(parts.channel.sent) == 4)
    assert ways(parts)[2:] == ["first", "third"]
    assert parts.runner.started == [1, 3]
    if thread == 0:
        runner.join(PATIENCE)


def test_arguments_are_unpickled_completely(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that is cancelled while its arguments are unpickled ends behind that: what they import may not be cut short."""
    main, unpacked = parts.executor.main, list[int]()
    real = parts.runner.unpack

    def unpack(message: Any) -> Any:
        main.cancelled_call = message.request
        main.raise_if_cancelled()  # as the signal handler does
        unpacked.append(message.request)
        return real(message)

    monkeypatch.setattr(parts.runner, "unpack", unpack)
    call = request(1, lambda: "never")
    main.current_call = 1
    main.serve(call)

    assert (unpacked, ways(parts)) == ([1], ["signal"])


@pytest.mark.parametrize("thread", [7, SINGLE_THREAD])
def test_call_in_another_thread(parts: Parts, thread: int) -> None:
    """It is ended in the middle of Python code; calls in its thread go on."""
    entered = threading.Event()
    parts.executor.deliver(request(1, lambda: spin(entered), thread))
    parts.executor.deliver(request(2, lambda: "next", thread))
    assert entered.wait(PATIENCE)
    parts.executor.cancel(1)

    wait_until(lambda: len(parts.channel.sent) == 2)
    assert sorted(ways(parts)) == ["exception", "next"]


def test_call_that_ignores_it(parts: Parts) -> None:
    """A call that catches what is raised in it gives its value, and can be cancelled again."""
    entered, caught = threading.Event(), threading.Event()

    def run() -> None:
        try:
            spin(entered)
        except BaseException:
            spin(caught)

    parts.executor.deliver(request(1, run, 7))
    assert entered.wait(PATIENCE)
    parts.executor.cancel(1)
    assert caught.wait(PATIENCE)
    parts.executor.cancel(1)

    wait_until(lambda: len(parts.channel.sent) == 1)
    assert ways(parts) == ["exception"]


def test_call_that_is_over(parts: Parts) -> None:
    """Nothing happens to a call that has its answer, to one that never came, nor to later ones."""
    parts.executor.deliver(request(1, lambda: "a", 7))
    wait_until(lambda: len(parts.channel.sent) == 1)
    parts.executor.deliver(request(2, lambda: "b"))
    parts.executor.main.serve(parts.executor.main_queue.popleft())
    for number in (1, 2, 99):
        parts.executor.cancel(number)
    parts.executor.deliver(request(3, lambda: "c", 7))

    wait_until(lambda: len(parts.channel.sent) == 3)
    assert ways(parts) == ["a", "b", "c"]


def test_before_the_first_call() -> None:
    """A CANCEL that comes before any call is ignored."""
    parts = Parts()
    del parts.executor.runner
    parts.executor.cancel(1)


def test_request_that_came_twice(parts: Parts) -> None:
    """The repetition of a call that runs is not taken for a call that waits."""
    entered = threading.Event()
    for _ in range(2):
        parts.executor.deliver(request(1, lambda: spin(entered), 7))
    assert entered.wait(PATIENCE)
    parts.executor.cancel(1)

    wait_until(lambda: len(parts.channel.sent) == 1)
    assert ways(parts) == ["exception"]


def test_job_without_a_thread(parts: Parts) -> None:
    """A call whose thread has not begun to run is answered all the same."""
    executor: Any = parts.executor
    call = request(1, lambda: "a", 7)
    executor.find = lambda number: (call, None)
    for _ in range(2):
        cancel(executor, 1)
    take_by_runner = request(1, None)
    take(take_by_runner, RUNNER)
    executor.find = lambda number: (take_by_runner, None)
    cancel(executor, 1)

    assert ways(parts) == ["not begun"] * 2


def raising_once(action: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that does something and raises then, the first time: what came late."""
    times = iter([Cancelled()])

    def act(*arguments: Any) -> Any:
        result = action(*arguments)
        for error in times:
            raise error
        return result

    return act


@pytest.mark.parametrize("place", ["the answer is packed", "nothing more is to be raised"])
def test_late_exception(parts: Parts, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    """What is raised after the end of the user's code counts for that call, whose value may be lost."""
    job = ThreadJob(parts.executor)
    if place == "the answer is packed":
        monkeypatch.setattr(parts.runner, "pack_result", raising_once(parts.runner.pack_result))
        expected: Any = "exception"
    else:
        monkeypatch.setattr(job, "_close_now", raising_once(job._close_now))
        expected = "a"
    job.serve(request(1, lambda: "a", 7))
    job.serve(request(2, lambda: "b", 7))

    assert ways(parts) == [expected, "b"]


def test_exception_while_a_failure_is_packed(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also then the call has one answer."""
    job = ThreadJob(parts.executor)
    monkeypatch.setattr(parts.runner, "pack_failure", raising_once(parts.runner.pack_failure))

    def fail() -> None:
        raise ValueError

    job.serve(request(1, fail, 7))

    assert ways(parts) == ["exception"]


def test_cancelled_without_ctypes(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Python without ctypes leaves calls of other threads alone."""
    job = ThreadJob(parts.executor)

    def load(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr("easycluster_server._serving.threads.load", load)
    job.cancel(1)


def test_place_in_the_code(parts: Parts) -> None:
    """The error has the traceback and the context of the exception that was raised in the user's code."""
    entered = threading.Event()

    def run() -> None:
        try:
            raise KeyError
        except KeyError:
            spin(entered)

    parts.executor.deliver(request(1, run, 7))
    assert entered.wait(PATIENCE)
    parts.executor.cancel(1)
    wait_until(lambda: len(parts.channel.sent) == 1)
    (error,) = parts.channel.bodies()

    assert isinstance(error, CallCancelled)
    assert error.__traceback__ is not None
    assert isinstance(error.__context__, KeyError)
