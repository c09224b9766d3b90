"""The calls of one thread: each is run once and answered once, whatever interrupts come."""

from __future__ import annotations

import os

import pytest

from easycluster_protocol.errors import LocalProtocolError
from easycluster_server._serving.job import Job, leave_forked
from helpers.checkpoints import Struck
from helpers.executors import Parts, request


@pytest.fixture
def parts() -> Parts:
    """An executor without threads of its own."""
    return Parts()


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
    """A call can be interrupted from its beginning until it has an answer, and not while that is sent."""
    job = Job(parts.executor)
    parts.channel.on_send = lambda message: seen.append(job.can_be_interrupted)
    seen = [job.can_be_interrupted]
    for number in (1, 2):
        job.current_call = number
        job.serve(request(number, lambda: seen.append(job.can_be_interrupted)))
        job.current_call = 0

    assert seen == [False, True, False, True, False]


def test_calls_under_way(parts: Parts) -> None:
    """A call is under way from its start until its answer has been sent; then the thread is still at it, until the
    next one starts."""
    job = Job(parts.executor)
    seen: list[tuple[bool, bool]] = []

    def look() -> None:
        seen.append((job.is_under_way(first), job.is_at(1)))

    first, second = request(1, look), request(2, look)
    look()
    job.serve(first)
    look()
    job.serve(second)

    assert seen == [(False, False), (True, True), (False, True), (False, False)]


def test_references_of_an_answer_that_cannot_be_sent(parts: Parts) -> None:
    """The receipts that a refused answer would have brought are taken back, so its objects do not stay for ever."""
    job = Job(parts.executor)
    value = object()
    number = parts.runner.table.add(value, {})
    parts.runner.references = [number]
    parts.channel.errors = [LocalProtocolError("too large")]
    with pytest.raises(LocalProtocolError):
        job.serve(request(1, lambda: value))

    assert len(parts.runner.table) == 0


def test_call_that_nobody_can_be_told_of(parts: Parts, capfd: pytest.CaptureFixture[str]) -> None:
    """When even the failure of a call cannot be sent, the session ends, so that the client does not wait for ever."""
    parts.channel.errors = [MemoryError("second"), MemoryError("first")]
    job = Job(parts.executor)
    job.serve_uninterrupted(request(1, lambda: "a"))
    job.serve_uninterrupted(request(2, lambda: "b"))

    assert parts.lost == [True]
    assert parts.channel.bodies() == ["b"]
    assert capfd.readouterr().err.endswith("MemoryError: second\n")


def test_lost_connection(parts: Parts) -> None:
    """An answer that cannot be sent because the connection broke begins the end of the session."""
    job = Job(parts.executor)
    try:
        os.close(-1)
    except OSError as error:
        parts.channel.errors = [error]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("easycluster_server._serving.job.is_connection_error", lambda error: True)
        job.serve(request(1, lambda: "a"))

    assert parts.lost == [True]


@pytest.mark.parametrize(
    "error", [TimeoutError("by a handler"), LocalProtocolError("too large"), MemoryError()]
)
def test_other_errors_of_sending(
    parts: Parts, capfd: pytest.CaptureFixture[str], error: BaseException
) -> None:
    """Another error while an answer is sent becomes the answer to that call."""
    parts.channel.errors = [error]
    Job(parts.executor).serve_uninterrupted(request(1, lambda: "a"))

    assert parts.channel.bodies() == [error]
    assert parts.lost == []
    assert type(error).__name__ in capfd.readouterr().err


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
    capfd: pytest.CaptureFixture[str],
    error: BaseException | None,
    status: int,
    printed: str,
) -> None:
    """A child that comes back from the user's function ends as a script would, without its exit functions."""

    class Left(BaseException):
        pass

    def leave(status: int) -> None:
        raise Left(status)

    monkeypatch.setattr("easycluster_server._serving.job._exit", leave)
    with pytest.raises(Left) as left:
        try:
            if error is not None:
                raise error
        finally:
            leave_forked()

    assert left.value.args == (status,)
    assert capfd.readouterr().err.rstrip().endswith(printed)
