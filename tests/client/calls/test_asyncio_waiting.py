"""Awaiting answers: the loop of asyncio reads the connection meanwhile."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from typing import Any

import pytest

from easycluster_client._calls import asyncio_waiting
from easycluster_client._calls.asyncio_waiting import find_running_loop, wait_for_call
from easycluster_client._calls.response import NonblockingResponse
from easycluster_client._session.pending import PendingCall
from easycluster_protocol._types import Value
from easycluster_protocol._wire import messages as m
from easycluster_protocol._wire.messages import Message
from helpers.hand_made import HandMadeServer, send_call
from helpers.hand_made_client import HandMadeClient
from helpers.other_thread import OtherThread
from helpers.waiting import PATIENCE


@pytest.fixture
def client(server: HandMadeServer) -> HandMadeClient:
    """A client whose server the test plays."""
    return HandMadeClient(server)


def wait(client: HandMadeClient, call: PendingCall, limit: float | None = None) -> Awaitable[None]:
    """Wait for a call in the running loop."""
    return wait_for_call(call, client.server.session, client.calls, limit)


def answer(client: HandMadeClient, *calls: PendingCall) -> None:
    """Let the server answer calls."""
    client.server.send(*(Message(m.RESULT, call.request_id, b"N.") for call in calls))


def is_read(client: HandMadeClient) -> bool:
    """Whether the running loop reads the connection; it does not any more then."""
    return asyncio.get_running_loop().remove_reader(client.server.session.transport.fileno())


async def let_begin(*waiting: Awaitable[None]) -> list[asyncio.Task[Any]]:
    """Let these begin to wait."""
    tasks = [asyncio.ensure_future(each) for each in waiting]
    await asyncio.sleep(0)
    return tasks


def test_running_loop() -> None:
    """The loop that runs in this thread is found, or none."""

    async def find() -> bool:
        return find_running_loop() is asyncio.get_running_loop()

    assert find_running_loop() is None
    assert asyncio.run(find())


def test_waiting(client: HandMadeClient) -> None:
    """The waiting ends with the answer, and nothing is left of it."""
    call = send_call(client.server)

    async def run() -> None:
        answer(client, call)
        await wait(client, call)
        assert not is_read(client)
        assert asyncio_waiting._readers[asyncio.get_running_loop()] == {}

    asyncio.run(run())

    assert call.call_is_answered
    assert not call._watchers


@pytest.fixture
def free_descriptor() -> Iterator[None]:
    """Descriptor 0 is free, as in a master that was started without standard input."""
    kept = os.dup(0)
    os.close(0)
    yield
    os.dup2(kept, 0)
    os.close(kept)


@pytest.mark.usefixtures("free_descriptor")
def test_connection_by_descriptor_0() -> None:
    """A connection whose descriptor is 0 is read as any other."""
    client = HandMadeClient(HandMadeServer())
    call = send_call(client.server)
    found = client.server.session.transport.fileno()

    async def run() -> bool:
        (task,) = await let_begin(wait(client, call))
        before = task.done()
        answer(client, call)
        await task
        return before

    before = asyncio.run(run())
    client.server.close()

    assert (found, before, call.call_is_answered) == (0, False, True)


def test_other_tasks_go_on(client: HandMadeClient) -> None:
    """While a task waits the loop runs others."""
    call = send_call(client.server)

    async def run() -> bool:
        (task,) = await let_begin(wait(client, call))
        before = task.done()
        answer(client, call)
        await task
        return before

    assert asyncio.run(run()) is False


def test_waiting_for_several_calls(client: HandMadeClient) -> None:
    """Several tasks wait for calls of one connection with one reader, which stays until the last has its answer."""
    calls = [send_call(client.server) for _ in range(3)]

    async def run() -> list[bool]:
        tasks = await let_begin(*(wait(client, call) for call in calls))
        (reader,) = asyncio_waiting._readers[asyncio.get_running_loop()].values()
        found: list[bool] = []
        for number in (2, 0, 1):
            answer(client, calls[number])
            await tasks[number]
            readers = asyncio_waiting._readers[asyncio.get_running_loop()]
            found.append(list(readers.values()) == [reader])
        assert not is_read(client)
        return found

    assert asyncio.run(run()) == [True, True, False]


def test_completion_functions_are_called_by_the_loop(client: HandMadeClient) -> None:
    """Completion functions of answers that the loop reads are called by it."""
    called: list[Any] = []
    call = send_call(client.server)
    client.calls.call("f", (), {"oncomplete": called.append})

    async def run() -> None:
        (task,) = await let_begin(wait(client, call))
        client.answer(2, "completed")
        while not called:  # noqa: ASYNC110 -- the function is called by the loop, which knows no event for it
            await asyncio.sleep(0)
        assert not task.done()
        answer(client, call)
        await task

    asyncio.run(run())

    assert called == ["completed"]


def test_answer_that_another_thread_reads(client: HandMadeClient, other_thread: OtherThread) -> None:
    """When another thread reads the answer, the loop is woken."""
    call = send_call(client.server)
    session = client.server.session

    async def run() -> None:
        assert other_thread.run(session.turn.take_to_read)
        (task,) = await let_begin(wait(client, call))
        other_thread.run(session.turn.hand_over)
        answer(client, call)
        other_thread.run(session.read, True)  # the loop does nothing meanwhile
        before = task.done()
        await task
        assert not before

    asyncio.run(run())

    assert call.call_is_answered


def test_answer_that_is_there(client: HandMadeClient) -> None:
    """A call that was answered just before is not waited for."""
    call = send_call(client.server)
    call.call_is_answered = True
    asyncio.run(as_coroutine(wait(client, call)))


async def as_coroutine(awaitable: Awaitable[None]) -> None:
    """Await something."""
    await awaitable


def test_thread_that_may_not_wait(client: HandMadeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that must not wait is refused before anything is done."""

    def refuse() -> None:
        raise RuntimeError("must not wait")

    monkeypatch.setattr(client.server.session, "check_may_wait", refuse)
    call = send_call(client.server)
    with pytest.raises(RuntimeError, match="must not wait"):
        asyncio.run(as_coroutine(wait(client, call)))

    assert not call.call_is_watched


def test_cancelled_task(client: HandMadeClient) -> None:
    """A task that is cancelled waits no more, and the connection is not read for it."""
    call = send_call(client.server)

    async def run() -> None:
        (task,) = await let_begin(wait(client, call))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not is_read(client)
        call.call_tell_watchers()

    asyncio.run(run())

    assert not call._watchers


def test_answer_after_the_waiting(client: HandMadeClient) -> None:
    """An answer that comes again when a task has been told already does no harm."""
    call = send_call(client.server)

    errors: list[Any] = []

    async def run() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: errors.append(context))
        (task,) = await let_begin(wait(client, call))
        for _ in range(3):
            call.call_tell_watchers()
        await task
        await asyncio.sleep(0)

    asyncio.run(run())

    assert errors == []


def test_loop_that_was_closed(client: HandMadeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader whose answer belongs to a loop that was closed raises nothing."""
    call = send_call(client.server)

    async def run() -> None:
        (task,) = await let_begin(wait(client, call))

        def closed(*arguments: Any) -> None:
            raise RuntimeError("Event loop is closed")

        with monkeypatch.context() as patch:
            patch.setattr(asyncio.get_running_loop(), "call_soon_threadsafe", closed)
            call.call_tell_watchers()
        await asyncio.sleep(0)
        assert not task.done()
        call.call_tell_watchers()
        await task

    asyncio.run(run())


# Limits.


class Timers:
    """Stands for `call_later` of the running loop: notes the timers.

    Attributes:
        noted: for each after how many seconds what is called, with which arguments.
        handles: the timers.
    """

    def __init__(self) -> None:
        self.noted: list[tuple[float, Any, tuple[Any, ...]]] = []
        self.handles: list[asyncio.TimerHandle] = []
        self._loop = asyncio.get_running_loop()
        self._call_later = self._loop.call_later
        self._loop.call_later = self._note  # type: ignore[method-assign,assignment]

    def _note(self, seconds: float, callback: Callable[..., Any], *arguments: Any) -> asyncio.TimerHandle:
        self.noted.append((seconds, callback, arguments))
        self.handles.append(self._call_later(1000, callback, *arguments))
        return self.handles[-1]

    def run(self, index: int) -> None:
        """Let one of them come."""
        _, callback, arguments = self.noted[index]
        callback(*arguments)


@pytest.mark.parametrize(("limit", "expected"), [(60, [59.5, 60]), (0.5, [0.25, 0.5]), (0, [0, 0])])
def test_limits(client: HandMadeClient, limit: float, expected: list[float]) -> None:
    """Shortly before the end of a limit the server is asked, and with its end the waiting ends."""
    call = send_call(client.server)

    async def run() -> list[float]:
        timers = Timers()
        (task,) = await let_begin(wait(client, call, limit))
        timers.run(0)
        await asyncio.sleep(0)
        assert not task.done()
        timers.run(1)
        await task
        assert not is_read(client)
        assert all(handle.cancelled() for handle in timers.handles)
        return [seconds for seconds, _, _ in timers.noted]

    assert asyncio.run(run()) == [*expected, 10.0]  # the last one checks that the server is alive
    assert client.server.receive(2)[1] == Message(m.STATUS_QUERY, call.request_id)
    assert not call.call_is_answered


def test_timers_after_the_answer(client: HandMadeClient) -> None:
    """When the answer comes in time the timers are gone, and the server is not asked."""
    calls = [send_call(client.server) for _ in range(2)]

    async def run() -> list[bool]:
        timers = Timers()
        for call, limit in zip(calls, (None, 60), strict=True):
            answer(client, call)
            await wait(client, call, limit)
        return [handle.cancelled() for handle in timers.handles]

    assert asyncio.run(run()) == [True] * 4


# Connections that end.


def test_connection_that_has_ended(client: HandMadeClient) -> None:
    """Where the connection has ended nothing is read any more, and the call has its error."""
    call = send_call(client.server)
    client.server.close_session("closed")

    async def run() -> None:
        await wait(client, call)
        assert asyncio_waiting._readers.get(asyncio.get_running_loop()) is None

    asyncio.run(run())

    assert str(call.call_loss) == "closed"


def test_connection_that_ended_with_an_open_descriptor(client: HandMadeClient) -> None:
    """A connection that was lost, and is not closed yet, is not read any more, either."""
    call = send_call(client.server)
    client.server.session._end.fail("lost")

    async def run() -> None:
        await wait(client, call)
        assert asyncio_waiting._readers.get(asyncio.get_running_loop()) is None

    asyncio.run(run())


def test_descriptor_that_was_closed(client: HandMadeClient) -> None:
    """Where the descriptor is closed already, and the error comes a moment later, the loop waits for that."""
    call = send_call(client.server)
    client.server.session.transport.close()

    async def run() -> None:
        (task,) = await let_begin(wait(client, call))
        assert not task.done()
        client.server.session._end.fail("closed")
        await task

    asyncio.run(run())

    assert str(call.call_loss) == "closed; the call was sent, and may have been run"


def test_connection_that_ends_meanwhile(client: HandMadeClient) -> None:
    """A connection that ends while a task waits ends the waiting."""
    call = send_call(client.server)

    async def run() -> None:
        (task,) = await let_begin(wait(client, call))
        client.server.socket.shutdown(1)
        await task

    asyncio.run(run())

    assert str(call.call_loss) == (
        "the connection ended (the server); the call was sent, and may have been run"
    )


def test_connection_that_is_closed_just_now(client: HandMadeClient) -> None:
    """When another thread closes the connection before the loop can read it, the waiting ends with the error."""
    call = send_call(client.server)

    async def run() -> None:
        def closed(*arguments: Any) -> None:
            client.server.close_session("closed")
            raise OSError(9, "Bad file descriptor")

        asyncio.get_running_loop().add_reader = closed  # type: ignore[method-assign,assignment]
        await wait(client, call)
        assert asyncio_waiting._readers[asyncio.get_running_loop()] == {}

    asyncio.run(run())

    assert str(call.call_loss) == "closed"


def test_descriptor_that_cannot_be_read_by_the_loop(client: HandMadeClient) -> None:
    """Any other error of the loop is raised."""
    call = send_call(client.server)

    async def run() -> None:
        def fail(*arguments: Any) -> None:
            raise OSError(24, "Too many open files")

        asyncio.get_running_loop().add_reader = fail  # type: ignore[method-assign,assignment]
        await wait(client, call)

    with pytest.raises(OSError, match="Too many open files"):
        asyncio.run(run())


def test_new_connection_with_the_descriptor_of_an_old_one(client: HandMadeClient) -> None:
    """A connection whose descriptor has the number of an earlier one is read, and stays so when the tasks of the earlier
    one end."""
    old = send_call(client.server)
    others: list[HandMadeServer] = []

    async def run() -> None:
        (first,) = await let_begin(wait(client, old))
        descriptor = client.server.session.transport.fileno()
        client.server.close_session("closed")
        while not others or others[-1].session.transport.fileno() != descriptor:
            others.append(HandMadeServer())
        new = HandMadeClient(others[-1])
        call = send_call(new.server)
        (second,) = await let_begin(wait(new, call))
        await first
        before = second.done()
        answer(new, call)
        await second
        assert not before

    asyncio.run(run())
    for server in others:
        server.close()

    assert str(old.call_loss) == "closed"


def test_two_connections(client: HandMadeClient) -> None:
    """A loop reads any number of connections at once."""
    other = HandMadeClient(HandMadeServer())
    clients = [client, other]
    responses: list[NonblockingResponse] = [
        each.calls.raw_call("f", (), {}, {"nonblocking": True}) for each in clients
    ]

    async def run() -> list[Any]:
        waiting = asyncio.gather(*responses)
        await asyncio.sleep(0)
        for number in (1, 0):
            clients[number].answer(1, number)
        return await waiting

    values = asyncio.run(run())
    other.server.close()

    assert values == [0, 1]


# Loops that watch no descriptors, as the default one of Windows.


class LoopWithoutReaders(asyncio.SelectorEventLoop):
    def add_reader(self, *arguments: Any) -> None:  # type: ignore[override]
        raise NotImplementedError

    def remove_reader(self, *arguments: Any) -> bool:
        raise NotImplementedError


def run_without_readers(awaitable: Coroutine[Any, Any, Value]) -> Value:
    """Run a coroutine in such a loop; the thread that waits for it ends with it."""
    before = set(threading.enumerate())
    loop = LoopWithoutReaders()
    try:
        result = loop.run_until_complete(awaitable)
    finally:
        loop.close()
    for thread in set(threading.enumerate()) - before:
        thread.join(PATIENCE)
        assert not thread.is_alive()
    return result


def test_loop_without_readers(client: HandMadeClient) -> None:
    """Where the loop cannot watch a descriptor, a thread does, and the loop reads: several times, too."""
    calls = [send_call(client.server) for _ in range(3)]

    async def run() -> list[bool]:
        tasks = await let_begin(*(wait(client, call) for call in calls))
        found = []
        for call, task in zip(calls, tasks, strict=True):
            found.append(task.done())
            answer(client, call)
            await task
        return found

    assert run_without_readers(run()) == [False, False, False]
    assert all(call.call_is_answered for call in calls)


def test_cancelled_task_without_readers(client: HandMadeClient) -> None:
    """The thread ends when no task waits any more, and a later one gets another."""
    calls = [send_call(client.server) for _ in range(2)]

    async def run() -> None:
        (task,) = await let_begin(wait(client, calls[0]))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        answer(client, calls[1])
        await wait(client, calls[1])

    run_without_readers(run())
    assert [call.call_is_answered for call in calls] == [False, True]


def test_connection_that_ends_without_readers(client: HandMadeClient) -> None:
    """A connection that ends while a task waits ends the waiting, and the thread."""
    call = send_call(client.server)

    async def run() -> None:
        (task,) = await let_begin(wait(client, call))
        client.server.socket.shutdown(1)
        await task

    run_without_readers(run())
    assert str(call.call_loss) == (
        "the connection ended (the server); the call was sent, and may have been run"
    )
