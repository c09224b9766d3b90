"""Responses awaited in asyncio."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import gc
from typing import Any

import pytest

import easycluster
from easycluster import CallCancelled, CallTimeout, ConnectionLost, OutcomeUnknown
from helpers.remote_tasks import Tasks
from helpers.waiting import PATIENCE, wait_until

TLS_TOO = True

pytestmark = pytest.mark.usefixtures("task_definitions")


def run(coroutine: Any) -> Any:
    """Run it in a loop of its own, not for ever."""
    return asyncio.run(asyncio.wait_for(coroutine, PATIENCE))


def test_await(client: Any, tasks: Tasks) -> None:
    """A response can be awaited, also together with others of the same client, and with what is done."""

    async def main() -> list[Any]:
        names = ("a", "b", "c")
        waiting = [
            asyncio.ensure_future(_of(tasks.start(client, name, threadid=ord(name)))) for name in names
        ]
        done = client.add(1, nonblocking=True)
        values = [await done, await done]
        for name in reversed(names):
            tasks.finish(name)
        return values + list(await asyncio.gather(*waiting))

    assert run(main()) == [2, 2, "a", "b", "c"]
    assert client.add(1) == 2


async def _of(response: Any) -> Any:
    return await response


@pytest.mark.parametrize("kind", [easycluster.Client, easycluster.ThreadedClient])
def test_asyncio_wait(spawn: Any, tasks: Tasks, kind: Any) -> None:
    """`asyncio.wait` takes responses as they are, whoever reads; its limits and its cancellation leave nothing."""
    client = spawn(kind)

    async def main() -> list[Any]:
        first, second = (tasks.start(client, name, threadid=number) for number, name in enumerate("ab"))
        none, both = await asyncio.wait([first, second], timeout=0)
        tasks.finish("b")
        one, _ = await asyncio.wait([first, second], return_when=asyncio.FIRST_COMPLETED)
        tasks.finish("a")
        done, rest = await asyncio.wait([first, second], timeout=PATIENCE)
        return [none, both == {first, second}, one == {second}, sorted(each.result() for each in done), rest]

    assert run(main()) == [set(), True, True, ["a", "b"], set()]


def test_methods_of_asyncio_as_callbacks(spawn: Any, tasks: Tasks) -> None:
    """Where no loop runs, a callback is called as any other, even if it is asyncio's."""
    queue: asyncio.Queue[Any] = asyncio.Queue()
    response = tasks.start(spawn(), "a")
    response.add_done_callback(queue.put_nowait)
    tasks.finish("a")

    assert response.wait() == "a"
    assert queue.get_nowait() is response


def test_remove_done_callback(spawn: Any, tasks: Tasks) -> None:
    """A callback that was removed is not called; how often it was to be called is returned."""
    response = tasks.start(spawn(), "a")
    called: list[Any] = []
    response.add_done_callback(called.append)
    response.add_done_callback(called.append)

    assert (response.remove_done_callback(called.append), response.remove_done_callback(called.append)) == (
        2,
        0,
    )
    tasks.finish("a")
    assert (response.wait(), called) == ("a", [])


def test_await_several_clients(spawn: Any, tasks: Tasks) -> None:
    """Responses of several clients are awaited at once, and in the order of their ends."""
    clients = [spawn() for _ in range(3)]

    async def main() -> list[Any]:
        ends: list[Any] = []

        async def note(response: Any) -> None:
            ends.append(await response)
            if ends[-1] != "0":
                tasks.finish(str(int(ends[-1]) - 1))

        responses = [tasks.start(client, str(number)) for number, client in enumerate(clients)]
        tasks.finish("2")
        await asyncio.gather(*map(note, responses))
        return ends

    assert run(main()) == ["2", "1", "0"]


def test_await_an_error(client: Any) -> None:
    """What the call raised is raised where it is awaited."""

    async def main() -> None:
        await client.divide(1, 0, nonblocking=True, origexc="quiet")

    with pytest.raises(ZeroDivisionError):
        run(main())


def test_await_with_a_limit(spawn: Any, tasks: Tasks) -> None:
    """The limit of the call ends the waiting, and the call goes on; a limit of asyncio cancels the call."""
    client = spawn()

    async def main() -> Any:
        limited = tasks.start(easycluster.options(client, timeout=0.01), "first")
        with pytest.raises(CallTimeout, match=r"within 0\.01 seconds"):
            await limited
        response = tasks.start(client, "late")
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(response, 0.01)
        with pytest.raises(CallCancelled):
            await response
        tasks.finish("first")
        return limited.wait(timeout=PATIENCE), response._watchers

    assert run(main()) == ("first", [])


def test_await_a_connection_that_ends(spawn: Any, tasks: Tasks) -> None:
    """The end of the connection ends the waiting; so does a close in the same loop."""
    clients = [spawn(), spawn()]

    async def main() -> list[Any]:
        waiting = [asyncio.ensure_future(_of(tasks.start(client, "never"))) for client in clients]
        await asyncio.sleep(0)
        clients[0].os.kill(clients[0].os.getpid(threadid=1), 9, threadid=1, nonblocking=True)
        clients[1].close()
        return await asyncio.gather(*waiting, return_exceptions=True)

    assert [type(error) for error in run(main())] == [OutcomeUnknown] * 2


def test_await_a_connection_that_is_closed_meanwhile(spawn: Any, tasks: Tasks) -> None:
    """A close in another thread, just before the loop takes the descriptor, is the end of the connection, too."""
    client = spawn()
    response = tasks.start(client, "never")

    class Loop(asyncio.SelectorEventLoop):
        def remove_reader(self, fd: Any) -> bool:  # what comes directly before
            if fd == descriptor:
                client.close()
            return super().remove_reader(fd)

    descriptor = client.fileno()
    with contextlib.closing(Loop()) as loop, pytest.raises(ConnectionLost):
        loop.run_until_complete(_of(response))


def test_await_after_a_reconnect(tcp_server: Any, key: bytes, tasks: Tasks) -> None:
    """A new connection whose descriptor has the number of the old one is read, too."""
    with easycluster.Client(key, "127.0.0.1", tcp_server.port) as client:

        async def main() -> Any:
            old = asyncio.ensure_future(_of(tasks.start(client, "never")))
            await asyncio.sleep(0)
            before = client.fileno()
            client.reconnect()
            response = tasks.start(client, "value")
            waiting = asyncio.ensure_future(_of(response))
            await asyncio.sleep(0)
            same = client.fileno() == before
            tasks.finish("value")
            errors = await asyncio.gather(old, return_exceptions=True)
            return same, await waiting, type(errors[0])

        assert run(main()) == (True, "value", OutcomeUnknown)


def test_await_while_another_thread_reads(spawn: Any, tasks: Tasks) -> None:
    """An answer that another thread reads wakes the loop."""
    client = spawn()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        reading = pool.submit(tasks.start(client, "last").wait)
        wait_until(client._easycluster_calls.session.turn.reading.locked)

        async def main() -> Any:
            response = tasks.start(client, "value", threadid=1)
            tasks.finish("value")
            return await response

        assert run(main()) == "value"
        tasks.finish("last")
        assert reading.result(PATIENCE) == "last"


def test_await_calls_completion_functions(spawn: Any) -> None:
    """While a loop waits, completion functions of other calls are called in its thread."""
    client = spawn()
    seen: list[Any] = []

    async def main() -> None:
        called = asyncio.Event()

        def complete(value: Any) -> None:
            seen.append(value)
            called.set()

        response = client.wait_for("/", nonblocking=True, threadid=1)
        client.add(1, oncomplete=complete)
        await response
        while not called.is_set():
            await client.add(1, nonblocking=True)

    run(main())
    assert seen == [2]


def test_loop_that_was_closed(spawn: Any, tasks: Tasks, capsys: pytest.CaptureFixture[str]) -> None:
    """A loop that ends while a response is awaited cancels the call as it cancels the task, and leaves nothing behind."""
    client = spawn()
    response = tasks.start(client, "value")

    async def main() -> asyncio.Task[Any]:
        task = asyncio.ensure_future(_of(response))
        await asyncio.sleep(0)
        return task

    task = asyncio.run(main())

    assert task.cancelled()
    with pytest.raises(CallCancelled):
        response.result()
    gc.collect()
    assert capsys.readouterr().err == ""
