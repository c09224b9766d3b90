"""ThreadedClient: which server thread a call runs in, and what happens while nobody waits."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import easycluster
from easycluster import AutoThreadingClient, ClientGroup, CompletionError, ThreadedClient, define_common
from helpers.client_states import give_turn
from helpers.pipes import Pipe
from helpers.waiting import PATIENCE, wait_until

REMOTE = '''
import os, threading

def name():
    """The thread that runs this."""
    return threading.current_thread().name

def names():
    """All threads but those that serve every connection."""
    return sorted(thread.name for thread in threading.enumerate() if thread.name != "MainThread")

def add(a, b):
    return a + b

def echo(value):
    return value

def fail():
    raise KeyError("remote")

def wait_for_end(name):
    """Wait until there is no thread of that name."""
    while name in [thread.name for thread in threading.enumerate()]:
        threading.Event().wait(0.005)

def wait_for(path):
    """Wait until somebody writes a letter to the pipe, and return it."""
    with open(path, "rb", 0) as file:
        return file.read(1).decode()
'''


@pytest.fixture
def client(no_leaks: None) -> Any:
    """A local ThreadedClient."""
    define_common(REMOTE)
    with easycluster.server.spawn_local(ThreadedClient) as client:
        yield client


def in_thread(function: Callable[[], Any]) -> Any:
    """Call it in a new thread, which has ended on return."""
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(function()))
    thread.start()
    thread.join()
    return results[0]


def remote_threads(client: Any) -> list[str]:
    """The threads of the server, as the main thread sees them."""
    names: list[str] = client.names()
    return names


# Threads.


def test_main_thread(client: Any) -> None:
    """Calls of the master's main thread run in the server's main thread."""
    assert client.name() == "MainThread"
    assert AutoThreadingClient is ThreadedClient


def test_other_threads(client: Any) -> None:
    """Each other thread has a server thread of its own, always the same one, for as long as it lives."""
    begin = threading.Barrier(4)

    def run() -> set[str]:
        begin.wait()
        return {client.name() for _ in range(5)}

    with ThreadPoolExecutor(4) as pool:
        names = [future.result(PATIENCE) for future in [pool.submit(run) for _ in range(4)]]

    assert all(len(each) == 1 for each in names)
    assert len(set.union(*names)) == 4
    assert "MainThread" not in set.union(*names)


def test_server_thread_ends_with_its_local_thread(client: Any) -> None:
    """When a local thread ends its server thread is stopped, and the next local thread gets another."""
    first, second = in_thread(client.name), in_thread(client.name)

    assert first != second
    wait_until(lambda: not remote_threads(client))
    client.check_threads()


def test_server_thread_ends_at_once() -> None:
    """Nothing else has to happen for that: no call, no answer, no keep-alive, no timer."""
    define_common(REMOTE)
    with easycluster.server.spawn_local(lambda: ThreadedClient(keep_alive_interval=None)) as opened:
        client: Any = opened
        begun, end = threading.Event(), threading.Event()
        names: list[str] = []

        def run() -> None:
            names.append(client.name())
            begun.set()
            end.wait(PATIENCE)

        thread = threading.Thread(target=run)
        thread.start()
        assert begun.wait(PATIENCE)
        gone = threading.Event()
        client.wait_for_end(names[0], oncomplete=lambda value: gone.set())
        end.set()
        thread.join()

        assert gone.wait(PATIENCE)


def test_thread_that_ends_during_its_calls(client: Any, tmp_path: Any) -> None:
    """Calls that a thread left behind are still made, in order."""
    with Pipe(tmp_path / "pipe") as pipe:

        def run() -> list[Any]:
            first = client.wait_for(pipe.path, nonblocking=True)
            return [first, *(client.add(number, 1, nonblocking=True) for number in range(10))]

        first, *others = in_thread(run)
        assert remote_threads(client) != []
        pipe.write("a")

        assert [first.wait(), *(other.wait() for other in others)] == ["a", *range(1, 11)]
    wait_until(lambda: not remote_threads(client))


def test_explicit_thread_goes_first(client: Any) -> None:
    """`threadid` goes before `set_default_thread`, which goes before the local thread's own."""
    assert in_thread(lambda: client.name(threadid=0)) == "MainThread"
    assert in_thread(lambda: client.name(threadid=7)) == client.name(threadid=7)
    client.set_default_thread(7)
    assert client.name() == in_thread(client.name) == client.name(threadid=7)
    assert client.name(threadid=0) == "MainThread"
    client.set_default_thread(0)
    assert client.name() == "MainThread"
    assert in_thread(client.name) not in {"MainThread", client.name(threadid=7)}


def test_client_of_another_thread(client: Any) -> None:
    """Definitions run in the server's main thread, whichever thread connects."""
    define_common("where = threading.current_thread().name")

    def run() -> str:
        with easycluster.server.spawn_local(ThreadedClient) as other:
            where: str = other.eval("where")
            return where

    assert in_thread(run) == "MainThread"


def test_a_thousand_threads(client: Any) -> None:
    """Threads that come and go leave nothing: no server thread, no descriptor, no entry."""
    wrong: list[int] = []

    def run(number: int) -> None:
        if [client.add(number, more) for more in range(3)] != [number, number + 1, number + 2]:
            wrong.append(number)

    for base in range(0, 1000, 20):
        threads = [threading.Thread(target=run, args=(base + number,)) for number in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert not wrong
    wait_until(lambda: not remote_threads(client))
    session = client._easycluster_calls.session
    assert (session._calls.by_number, session.turn.gates, session.arrived) == ({}, {}, [])
    assert not client._easycluster_calls.ended.numbers


def test_many_threads_at_once(client: Any) -> None:
    """64 threads that call at once each get their own answers."""
    begin = threading.Barrier(64)

    def run(number: int) -> bool:
        begin.wait()
        return all(client.add(number, more) == number + more for more in range(50))

    with ThreadPoolExecutor(64) as pool:
        assert all(pool.map(run, range(64)))
    wait_until(lambda: not remote_threads(client))


def test_executor_threads_of_asyncio(client: Any) -> None:
    """Calls may be made from the threads of an event loop's executor."""

    async def run() -> list[int]:
        loop = asyncio.get_running_loop()
        calls = [loop.run_in_executor(None, client.add, number, 1) for number in range(50)]
        return list(await asyncio.gather(*calls))

    assert asyncio.run(run()) == list(range(1, 51))


@pytest.mark.xdist_group("memory")
@pytest.mark.parametrize("threads", [1, 4])
def test_large_calls_in_flight(client: Any, threads: int) -> None:
    """1,000 echoes of 1 MiB in flight do not block each other."""
    data = bytes(1 << 20)

    def run(count: int) -> int:
        responses = [client.echo(data, nonblocking=True) for _ in range(count)]
        right = 0
        while responses:
            right += responses.pop().wait() == data
        return right

    with ThreadPoolExecutor(threads) as pool:
        assert sum(pool.map(run, [1000 // threads] * threads)) == 1000


# While nobody waits.


def test_answers_arrive_by_themselves(client: Any) -> None:
    """`have_response` becomes true although nobody waits."""
    response = client.add(1, 2, nonblocking=True)

    wait_until(lambda: response.have_response)
    assert response.wait() == 3


def test_completion_functions(client: Any) -> None:
    """They are called by themselves, in the background thread, with value or error."""
    seen: list[Any] = []

    def note(value: Any, *further: Any) -> None:
        seen.append((value, further, threading.current_thread() is threading.main_thread()))

    client.add(1, 2, oncomplete=(note, "more"))
    wait_until(lambda: seen)
    client.fail(onerror=note)
    wait_until(lambda: len(seen) == 2)

    assert seen[0] == (3, ("more",), False)
    assert isinstance(seen[1][0].orig, KeyError)


def test_completion_while_another_thread_reads(client: Any, tmp_path: Any) -> None:
    """They are called although the answer was read by a thread that goes on waiting for its own."""
    called = threading.Event()
    with Pipe(tmp_path / "pipe") as pipe, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(client.wait_for, pipe.path)
        wait_until(client._easycluster_calls.session.turn.reading.locked)
        client.add(1, 2, oncomplete=lambda value: called.set())

        assert called.wait(PATIENCE)
        assert not waiting.done()
        pipe.write("a")
        assert waiting.result(PATIENCE) == "a"


@pytest.mark.parametrize("error", [ZeroDivisionError, SystemExit, KeyboardInterrupt])
def test_completion_function_that_raises(
    client: Any, capsys: pytest.CaptureFixture[str], error: type[BaseException]
) -> None:
    """What a completion function raises is printed, and the next one is called."""
    called = threading.Event()

    def complain(value: Any) -> None:
        raise error("mine")

    client.add(1, 2, oncomplete=complain)
    client.add(1, 2, oncomplete=lambda value: called.set())
    assert called.wait(PATIENCE)

    printed = capsys.readouterr().err
    assert "Exception in a completion function of add" in printed
    assert "in complain" in printed
    assert error.__name__ in printed


async def awaited(response: Any) -> Any:
    """Await it."""
    return await response


#: Ways to wait, in a completion function, for an answer that is not there; "call" makes the call first.
WAITS: dict[str, Callable[[Any, Any], Any]] = {
    "call": lambda client, response: client.execblock("made = True"),
    "call with a limit": lambda client, response: easycluster.options(client, timeout=60).execblock(
        "made = True"
    ),
    "wait": lambda client, response: response.wait(),
    "wait with a limit": lambda client, response: response.wait(timeout=60),
    "result": lambda client, response: response.result(60),
    "exception": lambda client, response: response.exception(),
    "easycluster.wait": lambda client, response: easycluster.wait([response]),
    "easycluster.as_completed": lambda client, response: next(easycluster.as_completed([response], 60)),
    "concurrent.futures.wait": lambda client, response: concurrent.futures.wait([response]),
    "concurrent.futures.as_completed": lambda client, response: next(
        concurrent.futures.as_completed([response])
    ),
    "await": lambda client, response: asyncio.run(awaited(response)),
    "group": lambda client, response: ClientGroup([client]).read_responses(),
    "update_definitions": lambda client, response: client.update_definitions(),
}


@pytest.mark.parametrize("how", WAITS)
def test_waiting_in_a_completion_function(client: Any, tmp_path: Any, how: str) -> None:
    """A completion function that waits, however, gets an error at once, and its call is not made; it may make others."""
    outcomes: list[Any] = []
    define_common("made = True")
    with Pipe(tmp_path / "pipe") as pipe:
        pending = client.wait_for(pipe.path, threadid=1, nonblocking=True)

        def complete(value: Any) -> None:
            try:
                WAITS[how](client, pending)
            except RuntimeError as error:
                outcomes.append(error)
            client.add(value, 1, oncomplete=outcomes.append)

        client.add(1, 2, oncomplete=complete)
        wait_until(lambda: len(outcomes) == 2)
        pipe.write("a")
        assert pending.wait() == "a"

    assert isinstance(outcomes[0], CompletionError)
    assert "cannot wait for an answer" in str(outcomes[0])
    assert outcomes[1] == 4
    assert not client.eval("'made' in globals()")


def test_answers_in_a_completion_function(client: Any) -> None:
    """A completion function may ask for answers that are there, and whether they are."""
    outcomes: list[Any] = []
    response = client.add(1, 2, nonblocking=True)
    response.wait()

    def complete(value: Any) -> None:
        outcomes.append(response.wait())
        outcomes.append(response.result(timeout=0))
        outcomes.append(easycluster.wait([response]).done == {response})
        outcomes.append(concurrent.futures.wait([response]).done == {response})
        outcomes.append(asyncio.run(awaited(response)))
        outcomes.append(client.add(3, 4, nonblocking=True).done() in {True, False})

    client.add(1, 2, oncomplete=complete)
    wait_until(lambda: len(outcomes) == 6)

    assert outcomes == [3, 3, True, True, 3, True]


def test_reading_is_not_the_callers(client: Any) -> None:
    """`read_response` raises TypeError, of the client and of a response."""
    with pytest.raises(TypeError, match="reads by itself"):
        client.read_response()
    with pytest.raises(TypeError, match="reads by itself"):
        client.add(1, 2, nonblocking=True).read_response()


def test_waiting_caller_reads_for_itself(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The background thread has nothing to do with calls whose callers wait."""
    session = client._easycluster_calls.session
    read: list[int] = []
    receive = session.receive_in_background

    def receive_in_background() -> bool:
        read.append(1)
        return bool(receive())

    monkeypatch.setattr(session, "receive_in_background", receive_in_background)
    for number in range(500):
        assert client.add(number, 1) == number + 1

    # Only where it was about to read when the call began.
    assert len(read) < 100


def test_turn_that_was_not_handed_over(client: Any) -> None:
    """Answers arrive although a thread that was interrupted kept the turn to read."""
    give_turn(client._easycluster_calls.session.turn)
    response = client.add(1, 2, nonblocking=True)

    wait_until(lambda: response.have_response)
