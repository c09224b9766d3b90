"""What the executor guarantees; test_session.py has the same with a connection and with interrupts."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import pytest

from easycluster_protocol._constants import SINGLE_THREAD
from easycluster_protocol._wire import messages as m
from easycluster_protocol._wire.messages import Message
from easycluster_protocol.errors import LocalProtocolError
from easycluster_server._io.interrupts import Gate
from easycluster_server._serving.executor import Job, leave_forked
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


# Jobs.


def test_call_is_made_once(parts: Parts) -> None:
    """A request that is served again is not run, nor answered, again."""
    job = Job(parts.executor)
    for _ in range(3):
        job.serve(request(1, lambda: "a"))
    job.serve(request(2, lambda: "b"))

    assert parts.runner.started == [1, 2]
    assert parts.channel.bodies() == ["a", "b"]


@pytest.mark.parametrize("error", [ValueError("x"), SystemExit(3), KeyboardInterrupt(), GeneratorExit()])
def test_call_that_raises(parts: Parts, error: BaseException) -> None:
    """Whatever a call raises is its answer."""

    def fail() -> None:
        raise error

    Job(parts.executor).serve(request(1, fail))

    assert parts.channel.bodies() == [error]


def test_answer_whose_sending_was_interrupted(parts: Parts) -> None:
    """An answer that was not sent to its end is sent again, and the call is not made again."""
    job = Job(parts.executor)
    parts.channel.errors = [Struck()]
    with pytest.raises(Struck):
        job.serve(request(1, lambda: "a"))
    job.serve(request(1, lambda: "a"))

    assert parts.runner.started == [1]
    assert parts.channel.bodies() == ["a"]


@pytest.mark.parametrize("noted", [True, False])
def test_outcome_that_was_lost(parts: Parts, noted: bool) -> None:
    """A call whose outcome an interrupt swallowed fails with what the handler raised."""
    job = Job(parts.executor)
    parts.runner.pack_result = lambda *arguments: (_ for _ in ()).throw(Struck)  # type: ignore[method-assign]
    parts.runner.pack_failure = parts.runner.pack_result  # type: ignore[method-assign, assignment]
    with pytest.raises(Struck):
        job.serve(request(1, lambda: "a"))
    del parts.runner.pack_result, parts.runner.pack_failure
    error = TimeoutError("by the handler")
    if noted:
        job.interruption = (1, error)
    job.serve(request(1, lambda: "a"))

    (answer,) = parts.channel.bodies()
    assert parts.runner.started == [1]
    assert answer is error if noted else isinstance(answer, RuntimeError)


def test_interruptible_only_while_the_outcome_is_open(parts: Parts) -> None:
    """A job can be interrupted from when it is busy until it has an answer."""
    job = Job(parts.executor)
    seen = [job.can_be_interrupted]
    job.current_call = 1
    job.serve(request(1, lambda: seen.append(job.can_be_interrupted)))
    job._answer = Message(m.RESULT, 1)
    seen.append(job.can_be_interrupted)
    job.current_call = 2
    seen.append(job.can_be_interrupted)

    assert seen == [False, True, False, True]


def test_lost_connection(parts: Parts) -> None:
    """An answer that cannot be sent because the connection broke begins the end of the session."""
    job = Job(parts.executor)
    try:
        os.close(-1)
    except OSError as error:
        parts.channel.errors = [error]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("easycluster_server._serving.executor.is_connection_error", lambda error: True)
        job.serve(request(1, lambda: "a"))

    assert parts.lost == [True]


@pytest.mark.parametrize(
    "error", [TimeoutError("by a handler"), LocalProtocolError("too large"), MemoryError()]
)
def test_other_errors_of_sending(
    parts: Parts, capsys: pytest.CaptureFixture[str], error: BaseException
) -> None:
    """What else fails while an answer is sent fails that call."""
    parts.channel.errors = [error]
    Job(parts.executor).serve_uninterrupted(request(1, lambda: "a"))

    assert parts.channel.bodies() == [error]
    assert parts.lost == []
    assert type(error).__name__ in capsys.readouterr().err


# Threads.


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
    names: list[int] = []
    send = parts.channel.send
    parts.channel.send = lambda message: (names.append(threading.get_ident()), send(message))  # type: ignore[method-assign, func-returns-value, assignment]
    executor.finish_main()
    executor.finish_main()

    assert parts.channel.bodies() == ["MainThread"]
    assert names != [threading.get_ident()]
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


# Forked processes.


@pytest.mark.parametrize(
    ("error", "status", "printed"),
    [
        (None, 0, ""),
        (SystemExit(), 0, ""),
        (SystemExit(5), 5, ""),
        (SystemExit("text"), 1, "text"),
        (ValueError("wrong"), 1, "ValueError: wrong"),
    ],
)
def test_leaving_a_forked_process(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: BaseException | None,
    status: int,
    printed: str,
) -> None:
    """A child that comes back from the user's function ends as a script would, without its exit functions."""

    class Left(BaseException):
        pass

    def leave(status: int) -> None:
        raise Left(status)

    monkeypatch.setattr(os, "_exit", leave)
    with pytest.raises(Left) as left:
        try:
            if error is not None:
                raise error
        finally:
            leave_forked()

    assert left.value.args == (status,)
    assert capsys.readouterr().err.rstrip().endswith(printed)
