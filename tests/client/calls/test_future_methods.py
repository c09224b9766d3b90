"""The methods that a response shares with the futures of `concurrent.futures` and asyncio."""

from __future__ import annotations

import asyncio
import gc
import pickle
import weakref
from concurrent.futures import as_completed, wait
from typing import Any

import pytest

from easycluster_client import _deadlines
from easycluster_client._calls import future_methods, response as response_module
from easycluster_client._calls.future_condition import FutureCondition
from easycluster_client._calls.response import NonblockingResponse
from easycluster_client._session import reading
from easycluster_protocol._wire import messages as m
from easycluster_protocol._wire.messages import Message
from easycluster_protocol.errors import CallTimeout, ConnectionLost, RemoteException
from helpers.clocks import Clock
from helpers.hand_made import HandMadeServer
from helpers.hand_made_client import HandMadeClient


@pytest.fixture
def client(server: HandMadeServer) -> HandMadeClient:
    """A client whose server the test plays."""
    return HandMadeClient(server)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock by which limits run."""
    clock = Clock()
    for module in (_deadlines, response_module):
        monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(reading, "wait", clock.wait)
    return clock


def request(client: HandMadeClient, **options: Any) -> NonblockingResponse:
    """Make a call of ``f``; return its response."""
    response: NonblockingResponse = client.calls.raw_call("f", (), {}, {"nonblocking": True, **options})
    return response


def arrive(client: HandMadeClient, message: Message) -> None:
    """Let a message arrive."""
    client.server.session._deliver(message)


def result(value: Any, number: int = 1) -> Message:
    """The answer of a call that returned a value."""
    return Message(m.RESULT, number, pickle.dumps(value))


# Values and errors.


def test_result(client: HandMadeClient) -> None:
    """`result` waits for the value and returns it."""
    response = request(client)
    client.answer(1, "value")

    assert response.result() == "value"


def test_result_of_a_remote_exception(client: HandMadeClient) -> None:
    """`result` raises what the call raised."""
    response = request(client)
    client.fail(1, KeyError("missing"))
    with pytest.raises(KeyError):
        response.result()

    assert len(client.reported) == 1


@pytest.mark.parametrize(("mode", "reports"), [(True, 1), ("quiet", 0), (False, 0)])
def test_result_of_an_exit(client: HandMadeClient, mode: Any, reports: int) -> None:
    """`result` and `exception` wrap what is no `Exception`; `wait` raises it, unless the option says otherwise."""
    response = request(client, origexc=mode)
    client.fail(1, SystemExit(3))
    with pytest.raises(RemoteException) as raised:
        response.result()
    found = response.exception()
    with pytest.raises(SystemExit if mode else RemoteException):
        response.wait()

    assert isinstance(found, RemoteException)
    assert (repr(raised.value.orig), repr(found.orig)) == ("SystemExit(3)", "SystemExit(3)")
    assert (raised.value.__cause__ is None) == bool(mode)
    assert len(client.reported) == reports


def test_result_keeps_nothing_alive(client: HandMadeClient) -> None:
    """A response whose error was raised by `result` goes when it is dropped, without a collection."""
    response = request(client, origexc="quiet")
    client.fail(1, KeyError("missing"))
    reference = weakref.ref(response)
    gc.collect()
    gc.disable()
    try:
        try:
            response.result()
        except KeyError:
            pass
        del response
        gone = reference() is None
    finally:
        gc.enable()

    assert gone


def test_result_with_a_limit(client: HandMadeClient, clock: Clock) -> None:
    """`result` and `exception` wait no longer than they are told, or than the call was."""
    response = request(client, timeout=7)
    for act, seconds in ((response.result, 5), (response.exception, 3)):
        before = clock.now
        with pytest.raises(CallTimeout, match=f"within {seconds} seconds"):
            act(seconds)
        assert clock.now == before + seconds
    for act in (response.result, response.exception):
        with pytest.raises(CallTimeout, match="within 7 seconds"):
            act()


def test_exception(client: HandMadeClient) -> None:
    """`exception` returns what `result` would raise, each time the same object, and reports nothing."""
    response = request(client)
    client.fail(1, KeyError("missing"))
    error = response.exception()

    assert isinstance(error, KeyError)
    assert response.exception() is error
    assert client.reported == []


def test_no_exception(client: HandMadeClient) -> None:
    """`exception` waits, and returns None for a value."""
    response = request(client)
    client.answer(1, "value")

    assert response.exception() is None


@pytest.mark.parametrize(
    ("mode", "expected"),
    [(True, KeyError), (None, KeyError), ("quiet", KeyError), (False, RemoteException), (0, RemoteException)],
    ids=repr,
)
def test_exception_by_the_option(client: HandMadeClient, mode: Any, expected: type[BaseException]) -> None:
    """`exception` returns what the option of the call asks for."""
    response = request(client, origexc=mode)
    client.fail(1, KeyError("missing"))
    error = response.exception()

    assert type(error) is expected
    if isinstance(error, RemoteException):
        assert isinstance(error.orig, KeyError)
        assert error.text[-1] == "KeyError: 'missing'\n"


def test_exception_of_a_lost_call(client: HandMadeClient) -> None:
    """The end of the connection is no remote exception, whatever the option says."""
    response = request(client, origexc=False)
    client.server.close_session("closed")

    assert isinstance(response.exception(), ConnectionLost)


# States.


def test_done(client: HandMadeClient) -> None:
    """`done` reads what is there, calls completion functions, and waits for nothing."""
    called: list[Any] = []
    response = request(client)
    client.calls.call("g", (), {"oncomplete": called.append})
    before = (response.done(), response.running())
    client.answer(2, "completed")
    middle = (response.done(), list(called))
    client.answer(1, "value")

    assert before == (False, True)
    assert middle == (False, ["completed"])
    assert (response.running(), response.done()) == (False, True)


def test_done_without_a_look(client: HandMadeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the answer is there, the connection is not looked at."""
    response = request(client)
    arrive(client, result(1))
    monkeypatch.setattr(client.server.session, "receive_available", lambda: pytest.fail("it looked"))

    assert response.done()


# Callbacks.


def test_callbacks(client: HandMadeClient) -> None:
    """Callbacks get the response when its answer is completed, in their order, also one that was added twice."""
    called: list[Any] = []
    response = request(client)

    def second(each: Any) -> None:
        called.append("second")

    for callback in (called.append, second, called.append):
        response.add_done_callback(callback)
    client.answer(1, "value")
    client.server.session.read(block=True)
    before = list(called)
    client.calls.run_completions(client.server.session)

    assert before == []
    assert called == [response, "second", response]


def test_callback_after_the_answer(client: HandMadeClient, capsys: pytest.CaptureFixture[str]) -> None:
    """A callback that is added after the answer is called at once; its error is printed."""
    called: list[Any] = []
    response = request(client)
    arrive(client, result(1))
    response.add_done_callback(called.append)

    def fail(each: Any) -> None:
        raise ValueError("it fails")

    response.add_done_callback(fail)

    assert called == [response]
    assert "ValueError: it fails" in capsys.readouterr().err


class AnsweredMeanwhile(NonblockingResponse):
    """Its answer comes, from another thread, at one moment while a callback is added."""

    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(name, value)
        if name == "call_is_watched" and not self.call_is_answered:
            self.call_is_answered = True


def test_answer_that_comes_while_a_callback_is_added(client: HandMadeClient) -> None:
    """A callback misses no answer, even one whose reader has found the response unwatched."""
    called: list[Any] = []
    response = AnsweredMeanwhile(client, "f", client.server.session)
    response.add_done_callback(called.append)

    assert called == [response]


def test_callback_that_cannot_be_called(client: HandMadeClient) -> None:
    """A callback has to be a function."""
    with pytest.raises(TypeError, match="^a callback must be a function"):
        request(client).add_done_callback(7)  # type: ignore[arg-type]


def test_callback_of_asyncio_without_a_loop(client: HandMadeClient) -> None:
    """A callback of asyncio's is called like any other where no loop runs."""
    called: list[Any] = []

    def callback(each: Any) -> None:
        called.append(each)

    callback.__module__ = "asyncio.tasks"
    response = request(client)
    response.add_done_callback(callback)
    arrive(client, result(1))
    client.calls.run_completions(client.server.session)

    assert called == [response]


@pytest.mark.parametrize("module", ["asyncio.tasks", "asyncio_tools", None, "script"])
def test_callback_in_a_loop(client: HandMadeClient, module: str | None) -> None:
    """In a loop a callback of asyncio's is called by the loop, which reads meanwhile; any other when a thread reads."""
    events: list[Any] = []

    def callback(each: Any) -> None:
        events.append(each)

    callback.__module__ = module  # type: ignore[assignment]

    async def run() -> None:
        response = request(client)
        response.add_done_callback(callback)
        events.append(response.call_is_watched)
        client.answer(1, "value")
        while len(events) < 2:
            await asyncio.sleep(0)
            if module != "asyncio.tasks":
                response.done()
        assert events[1] is response

    asyncio.run(run())

    assert events[0] is (module != "asyncio.tasks")


def test_wait_of_asyncio(client: HandMadeClient) -> None:
    """`asyncio.wait` of a response waits in its loop, and leaves no callback behind."""

    async def run() -> Any:
        responses: list[Any] = [request(client), request(client)]
        client.answer(1, "value")
        done, pending = await asyncio.wait(responses, return_when=asyncio.FIRST_COMPLETED)
        return responses, done, pending

    responses, done, pending = asyncio.run(run())

    assert done == {responses[0]}
    assert pending == {responses[1]}
    assert [each._tasks for each in responses] == [{}, {}]


def test_wait_of_asyncio_for_a_later_answer(client: HandMadeClient) -> None:
    """`asyncio.wait` reads answers that come while it waits, and calls the completion functions of others."""
    called: list[Any] = []

    async def run() -> Any:
        response: Any = request(client)
        client.calls.call("g", (), {"oncomplete": called.append})
        waiting = asyncio.ensure_future(asyncio.wait([response]))
        for _ in range(3):  # until its task waits
            await asyncio.sleep(0)
        client.server.send(result("completed", 2), result("value", 1))
        done, _ = await waiting
        return response, done

    response, done = asyncio.run(run())

    assert done == {response}
    assert response.wait() == "value"
    assert called == ["completed"]


def test_callback_of_asyncio_after_the_answer(client: HandMadeClient) -> None:
    """A callback of asyncio's that is added after the answer is called by the loop, too, and is forgotten then."""
    called: list[Any] = []

    def callback(each: Any) -> None:
        called.append(each)

    callback.__module__ = "asyncio.tasks"

    async def run() -> NonblockingResponse:
        response = request(client)
        arrive(client, result(1))
        response.add_done_callback(callback)
        assert called == []
        (task,) = asyncio.all_tasks() - {asyncio.current_task()}
        await task
        return response

    response = asyncio.run(run())

    assert called == [response]
    assert response.remove_done_callback(callback) == 0


def test_removed_callbacks(client: HandMadeClient) -> None:
    """A removed callback is not called; how often it was there is returned."""
    called: list[Any] = []
    response = request(client)
    none = response.remove_done_callback(called.append)

    def other(each: Any) -> None:
        called.append("other")

    for callback in (called.append, other, called.append):
        response.add_done_callback(callback)
    twice = response.remove_done_callback(called.append)
    arrive(client, result(1))
    client.calls.run_completions(client.server.session)

    assert (none, twice) == (0, 2)
    assert called == ["other"]


def test_removed_callbacks_of_asyncio(client: HandMadeClient) -> None:
    """A removed callback of asyncio's is not called, and its tasks end."""
    called: list[Any] = []

    def callback(each: Any) -> None:
        called.append(each)

    callback.__module__ = "asyncio.tasks"

    async def run() -> int:
        response = request(client)
        for _ in range(2):
            response.add_done_callback(callback)
        await asyncio.sleep(0)
        assert response.remove_done_callback(called.append) == 0
        count = response.remove_done_callback(callback)
        client.answer(1, "value")
        assert response.done()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*others, return_exceptions=True)
        assert all(task.cancelled() for task in others)
        return count

    assert asyncio.run(run()) == 2
    assert called == []


# Awaiting.


def test_awaiting(client: HandMadeClient) -> None:
    """A response can be awaited: its loop reads meanwhile."""

    async def run() -> Any:
        response = request(client)
        client.answer(1, "value")
        return await response

    assert asyncio.run(run()) == "value"


def test_awaiting_a_later_answer(client: HandMadeClient) -> None:
    """While a response is awaited its loop reads, and calls the completion functions of other answers."""
    called: list[Any] = []

    async def run() -> Any:
        response = request(client)
        client.calls.call("g", (), {"oncomplete": called.append})
        waiting = asyncio.ensure_future(response)
        await asyncio.sleep(0)
        client.server.send(result("completed", 2), result("value", 1))
        return await waiting

    assert asyncio.run(run()) == "value"
    assert called == ["completed"]


def test_awaiting_an_answer_that_is_there(client: HandMadeClient) -> None:
    """An answer that is there is awaited without a turn of the loop."""
    response = request(client)
    client.answer(1, "value")
    steps = response.__await__()
    with pytest.raises(StopIteration) as caught:
        next(steps)

    assert caught.value.value == "value"


def test_awaiting_a_remote_exception(client: HandMadeClient) -> None:
    """Awaiting raises what the call raised."""

    async def run() -> Any:
        response = request(client)
        client.fail(1, KeyError("missing"))
        return await response

    with pytest.raises(KeyError):
        asyncio.run(run())


def test_awaiting_with_a_limit(client: HandMadeClient) -> None:
    """A call with a limit is awaited so long, and may be awaited again."""

    async def run() -> Any:
        response = request(client, timeout=0.001)
        with pytest.raises(CallTimeout, match="within 0.001 seconds"):
            await response
        client.answer(1, "late")
        return await response

    assert asyncio.run(run()) == "late"


# For the functions of concurrent.futures.


def test_condition(client: HandMadeClient) -> None:
    """A response has one condition, which finishes when the answer is read."""
    response = request(client)
    condition = response._condition
    before = condition.is_finished
    arrive(client, result(1))

    assert isinstance(condition, FutureCondition)
    assert response._condition is condition
    assert response._waiters is condition.waiters
    assert (before, condition.is_finished) == (False, True)


def test_condition_that_two_threads_make(client: HandMadeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """When two threads make the condition at the same time, both get the same one, which is told once."""
    response = request(client)
    first = FutureCondition()

    class Meanwhile(FutureCondition):
        def __init__(self) -> None:
            super().__init__()
            vars(response).setdefault("_future_condition", first)

    monkeypatch.setattr(future_methods, "FutureCondition", Meanwhile)

    assert response._condition is first
    assert not response.call_is_watched  # it is up to the other thread


def test_states(client: HandMadeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """For those functions a response is running until its waiters have been told, and finished then."""
    monkeypatch.setattr(client.calls, "reads_by_itself", True)
    response = request(client)
    before = response._state
    arrive(client, result(1))

    assert (before, response._state) == ("RUNNING", "FINISHED")


def test_state_where_nobody_reads(client: HandMadeClient) -> None:
    """A response for which no thread reads is refused by those functions."""
    with pytest.raises(TypeError) as caught:
        _ = request(client)._state

    assert str(caught.value) == (
        "the functions of concurrent.futures read no answers: for responses of a Client use easycluster.wait and "
        "easycluster.as_completed"
    )


def test_state_in_a_thread_that_may_not_wait(client: HandMadeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that must not wait is refused, unless there is nothing to wait for."""

    def refuse() -> None:
        raise RuntimeError("must not wait")

    monkeypatch.setattr(client.calls, "reads_by_itself", True)
    monkeypatch.setattr(client.server.session, "check_may_wait", refuse)
    response = request(client)
    with pytest.raises(RuntimeError, match="must not wait"):
        _ = response._state
    arrive(client, result(1))

    assert response._state == "FINISHED"


def test_functions_of_concurrent_futures(client: HandMadeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """`wait` and `as_completed` take responses like other futures."""
    monkeypatch.setattr(client.calls, "reads_by_itself", True)
    responses: list[Any] = [request(client) for _ in range(2)]
    arrive(client, result("first", 1))
    done, pending = wait(responses, timeout=0)
    arrive(client, result("second", 2))
    values = [each.result() for each in as_completed(responses)]

    assert (done, pending) == ({responses[0]}, {responses[1]})
    assert sorted(values) == ["first", "second"]


@pytest.mark.parametrize("resolved", [False, True])
@pytest.mark.parametrize(
    ("message", "expected"),
    [(Message(m.RESULT, 1, b"N."), False), (Message(m.FAILURE, 1, b"N."), True), (None, True)],
    ids=["result", "failure", "lost"],
)
def test_failed_responses(
    client: HandMadeClient, message: Message | None, expected: bool, resolved: bool
) -> None:
    """Failures and lost answers are errors, whether they have been unpickled or not."""
    response = request(client, origexc="quiet")
    if message is None:
        client.server.close_session("closed")
    else:
        arrive(client, message)
    if resolved:
        response.exception()

    assert response.call_has_failed is expected


def test_failed_responses_that_are_damaged(client: HandMadeClient) -> None:
    """A result that could not be received whole is an error."""
    response = request(client)
    message = Message(m.RESULT, 1)
    message.damage = "too little memory"
    arrive(client, message)

    assert response.call_has_failed


def test_values_are_not_unpickled_to_see_whether_they_are_errors(client: HandMadeClient) -> None:
    """A value that cannot be unpickled is an error only from then on, for the thread that reads unpickles nothing."""
    response = request(client)
    arrive(client, Message(m.RESULT, 1, b"no pickle"))
    before = response.call_has_failed
    response.exception()

    assert (before, response.call_has_failed) == (False, True)
