"""The guarantees of the executor; test_session.py has the same with a connection and with interrupts."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from easycluster_protocol._constants import SINGLE_THREAD
from easycluster_protocol._wire import messages as m
from easycluster_protocol._wire.messages import Message
from easycluster_protocol.errors import LocalProtocolError
from easycluster_server._io.interrupts import Gate
from easycluster_server._serving import executor as executor_module
from helpers.checkpoints import Struck
from helpers.executors import Parts, request
from helpers.waiting import wait_until


@pytest.fixture
def parts() -> Iterator[Parts]:
    """An executor whose threads end with the test."""
    parts = Parts()
    yield parts
    parts.end_threads()
    wait_until(lambda: not any(each.name.startswith("easycluster-") for each in threading.enumerate()))


def test_repeated_delivery(parts: Parts) -> None:
    """A request that is delivered twice, one right after the other, is served once, in whatever thread."""
    for number, thread in enumerate((0, 5, SINGLE_THREAD), 1):
        for _ in range(2):
            parts.executor.deliver(request(number, lambda thread=thread: thread, thread))
    while parts.executor.main_queue:
        parts.executor.main.serve(parts.executor.main_queue.popleft())
    parts.executor.deliver(request(4, lambda: "last", 5))
    wait_until(lambda: len(parts.channel.sent) == 4)

    assert sorted(parts.runner.started) == [1, 2, 3, 4]


def test_which_calls_run(parts: Parts) -> None:
    """A thread's call runs from its start until the next one's, and is no longer known when the thread has ended."""
    gates = [threading.Event() for _ in range(3)]
    running = parts.executor.is_running
    for number, thread in ((1, 7), (2, 7), (3, SINGLE_THREAD)):
        parts.executor.deliver(request(number, gates[number - 1].wait, thread))
    wait_until(lambda: parts.runner.started in ([1, 3], [3, 1]))
    seen = [running(number) for number in (1, 2, 3)]
    gates[0].set()
    wait_until(lambda: running(2))
    seen.append(running(1))
    for gate in gates:
        gate.set()
    parts.executor.main.serve(request(4, lambda: seen.append(running(4))))
    parts.executor.stop_thread(7)
    wait_until(lambda: len(parts.executor.jobs) == 1)

    assert seen == [True, False, True, False, True]
    assert not running(2)


def test_finishing(parts: Parts) -> None:
    """A call that was interrupted between its code and its answer is finished in another thread."""
    executor = parts.executor
    executor.deliver(request(1, lambda: threading.current_thread().name))
    executor.finish_main()  # it was not started
    parts.channel.errors = [Struck()]
    with pytest.raises(Struck):
        executor.main.serve(executor.main_queue[0])
    senders: list[int] = []
    parts.channel.on_send = lambda message: senders.append(threading.get_ident())
    executor.finish_main()
    executor.finish_main()

    assert parts.channel.bodies() == ["MainThread"]
    assert len(senders) == 1
    assert senders != [threading.get_ident()]
    assert parts.runner.started == [1]


def test_late_finisher(parts: Parts) -> None:
    """A finisher that comes too late, because another one was started, touches nothing."""
    executor = parts.executor
    for number in (1, 2):
        executor.main.serve(request(number, lambda: "a"))
    finished = Gate()
    executor._finish(request(1, lambda: "b"), finished)

    assert parts.runner.started == [1, 2]
    assert finished.wait(0)


def test_calls_of_the_main_thread_wait(parts: Parts) -> None:
    """A call of thread 0 is queued for the main thread, and runs in no other."""
    for number in (1, 2):
        parts.executor.deliver(request(number, lambda: "a"))

    assert [each.request for each in parts.executor.main_queue] == [1, 2]
    assert parts.runner.started == []


def test_objects_before_the_first_call() -> None:
    """Receipts that come back before the first call, when there is no runner, harm nothing."""
    parts = Parts()
    del parts.executor.runner
    parts.executor.release_objects(Message(m.RELEASE, releases=[(1, 1)]))

    assert len(parts.runner.table) == 0


def test_objects_that_are_given_back(parts: Parts) -> None:
    """An object goes with the last of its receipts."""
    number = parts.runner.table.add(object(), {})
    parts.executor.release_objects(Message(m.RELEASE, releases=[(number, 1)]))
    wait_until(lambda: len(parts.runner.table) == 0)


@pytest.mark.parametrize("error", [LocalProtocolError("closed"), OSError("the connection broke")])
def test_posting_over_a_lost_connection(
    parts: Parts, error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer that cannot be posted because the connection has ended ends the session."""
    monkeypatch.setattr(executor_module, "is_connection_error", lambda error: type(error) is OSError)
    parts.channel.errors = [error]
    parts.executor.post(Message(m.FAILURE, 1))

    assert parts.lost == [True]


def test_other_errors_of_posting(parts: Parts) -> None:
    """An error of a signal handler, which may be an OSError too, does not end the session."""
    parts.channel.errors = [TimeoutError("by a handler")]
    with pytest.raises(TimeoutError):
        parts.executor.post(Message(m.FAILURE, 1))

    assert parts.lost == []


def test_stopping_a_thread_that_never_was(parts: Parts) -> None:
    """The end of a client's thread that has made no calls is nothing to be dealt with."""
    parts.executor.stop_thread(5)

    assert parts.executor.jobs == {parts.executor.main}
