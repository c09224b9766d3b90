"""The threads of a session beside the main thread, and the queues of their calls."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from easycluster_protocol._constants import SINGLE_THREAD
from easycluster_protocol._wire import messages as m
from easycluster_server._serving.threads import CallQueue, CallThread, CallThreads
from helpers.checkpoints import places, strike
from helpers.executors import Parts, request
from helpers.waiting import PATIENCE, wait_until


@pytest.fixture
def parts() -> Parts:
    """An executor whose own threads stay away."""
    return Parts()


@pytest.fixture
def threads(parts: Parts) -> Iterator[CallThreads]:
    """Threads that end with the test."""
    threads = CallThreads(parts.executor)
    yield threads
    for number in list(threads._by_id):
        threads.stop(number)
    wait_until(lambda: not names())


def names() -> list[str]:
    """The names of all such threads that run."""
    prefix = "easycluster-"
    return [each.name for each in threading.enumerate() if each.name.startswith(prefix)]


# Queues.


def test_order_of_a_queue() -> None:
    """Calls leave a queue in the order in which they were put in, and the end comes behind them."""
    queue = CallQueue()
    calls = [request(number, None) for number in (1, 2, 3)]
    for call in calls:
        queue.put(call)
    queue.put(None)

    assert [queue.get() for _ in range(4)] == [*calls, None]


def test_waiting_for_a_call() -> None:
    """A thread that waits at an empty queue gets each call that comes, also when others came before it waited."""
    queue = CallQueue()
    taken: list[Any] = []
    calls = [request(number, None) for number in range(1, 50)]
    queue.put(calls[0])
    thread = threading.Thread(target=lambda: taken.extend(iter(queue.get, None)))
    thread.start()
    for call in calls[1:]:
        queue.put(call)
    queue.put(None)
    thread.join(PATIENCE)

    assert taken == calls


def test_interrupts_while_a_call_is_queued() -> None:
    """Wherever a signal handler raises while a call is put into a queue, putting it again loses nothing and the
    thread that waits gets it."""

    def once(at: int) -> bool:
        queue = CallQueue()
        taken: list[Any] = []
        taker = threading.Thread(target=lambda: taken.extend(iter(queue.get, None)))
        taker.start()
        first, second = request(1, None), request(2, None)
        queue.put(first)
        outcome = strike(lambda: queue.put(second), at)
        queue.put(second)
        queue.put(None)
        taker.join(PATIENCE)
        assert [each.request for each in taken] in ([1, 2], [1, 2, 2]), outcome
        return outcome.struck > 0

    assert places(once) > 3


# Threads.


def test_one_thread_for_each_id(parts: Parts, threads: CallThreads) -> None:
    """Calls of one id run in one thread, in order; another id has another thread."""
    for number, thread in ((1, 5), (2, 6), (3, 5), (4, -7)):
        threads.deliver(request(number, lambda: threading.current_thread().name, thread))
    wait_until(lambda: len(parts.channel.sent) == 4)
    answers: dict[int, Any] = {answer.request: answer.body for answer in parts.channel.sent}

    assert answers == {1: "easycluster-5", 2: "easycluster-6", 3: "easycluster-5", 4: "easycluster--7"}
    assert [number for number in parts.runner.started if number in (1, 3)] == [1, 3]


def test_threads_for_single_calls(parts: Parts, threads: CallThreads) -> None:
    """A call that asks for a thread of its own gets a new one, which ends with it."""
    leave = threading.Event()
    for number in (1, 2):
        threads.deliver(
            request(number, lambda: (leave.wait(PATIENCE), threading.get_ident())[1], SINGLE_THREAD)
        )
    wait_until(lambda: len(parts.runner.started) == 2)
    running = names()
    leave.set()
    wait_until(lambda: len(parts.channel.sent) == 2)
    wait_until(lambda: not names())

    assert running == ["easycluster-single"] * 2
    assert len(set(parts.channel.bodies())) == 2


def test_threads_are_jobs_of_the_executor(parts: Parts, threads: CallThreads) -> None:
    """While a thread lives its job is one of the executor's, which can tell the call that it is at."""
    leave = threading.Event()
    threads.deliver(request(1, lambda: leave.wait(PATIENCE), 5))
    wait_until(lambda: parts.runner.started)
    during = parts.executor.is_running(1)
    leave.set()
    threads.stop(5)
    wait_until(lambda: not names())

    assert during
    assert parts.executor.jobs == {parts.executor.main}


def test_stopping_a_thread(parts: Parts, threads: CallThreads) -> None:
    """A thread that is stopped runs the calls that wait for it first; a later call of its id starts another."""
    leave = threading.Event()
    threads.deliver(request(1, lambda: leave.wait(PATIENCE), 5))
    threads.deliver(request(2, lambda: "second", 5))
    threads.stop(5)
    threads.stop(5)
    threads.stop(99)  # there is none
    threads.deliver(request(3, lambda: "third", 5))
    wait_until(lambda: "third" in parts.channel.bodies())
    before = parts.channel.bodies()
    leave.set()
    wait_until(lambda: len(parts.channel.sent) == 3)

    assert before == ["third"]
    assert parts.channel.bodies() == ["third", True, "second"]


@pytest.mark.parametrize("thread", [5, SINGLE_THREAD])
def test_no_more_threads(
    parts: Parts, threads: CallThreads, thread: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the system has no more threads the call fails, and the next one tries again."""

    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        threads.deliver(request(1, lambda: "a", thread))
    threads.deliver(request(2, lambda: "b", thread))
    wait_until(lambda: len(parts.channel.sent) == 2)

    assert [answer.kind for answer in parts.channel.sent] == [m.FAILURE, m.RESULT]
    assert str(parts.channel.sent[0].body) == "can't start new thread"
    assert parts.runner.started == [2]


def test_thread_that_is_started_twice(parts: Parts, threads: CallThreads) -> None:
    """A queue whose thread was started twice, because the first start was interrupted, is served by one."""
    thread = CallThread()
    gate = threading.Event()
    thread.queue.put(request(1, lambda: gate.wait(PATIENCE), 5))
    thread.queue.put(request(2, lambda: "b", 5))
    threads._start(thread, "5", request(1, None))
    thread.has_started = False
    wait_until(lambda: parts.runner.started)
    threads._start(thread, "5", request(1, None))
    wait_until(lambda: len(names()) == 1)
    before = list(parts.runner.started)
    gate.set()
    thread.queue.put(None)
    wait_until(lambda: len(parts.channel.sent) == 2)

    assert before == [1]
    assert parts.channel.bodies() == [True, "b"]


def test_second_start_that_fails(parts: Parts, threads: CallThreads, monkeypatch: pytest.MonkeyPatch) -> None:
    """When a thread was started after all, although its start was interrupted, that the second one cannot be is raised
    and the call is not answered with a failure."""
    thread = CallThread()
    thread.queue.put(request(1, lambda: "a", 5))
    threads._start(thread, "5", request(1, None))
    wait_until(lambda: parts.channel.sent)
    thread.has_started = False

    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="can't start"):
        patch.setattr(threading.Thread, "start", refuse)
        threads._start(thread, "5", request(1, None))
    thread.queue.put(None)

    assert parts.channel.bodies() == ["a"]
