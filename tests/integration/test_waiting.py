"""`easycluster.wait` and `easycluster.as_completed`, over several clients at once."""

from __future__ import annotations

import concurrent.futures
import os
import signal
import threading
from collections.abc import Callable
from typing import Any

import pytest

import easycluster
from easycluster import CallTimeout, ConnectionLost
from easycluster_client._parallel import reading as reading_module
from easycluster_server._system.masters import wait_for_any
from helpers.remote_tasks import Tasks
from helpers.waiting import PATIENCE, wait_until

TLS_TOO = True

pytestmark = pytest.mark.usefixtures("task_definitions")


class Ends:
    """Does something the first time that somebody waits for several connections, in another thread."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, do: Callable[[], Any]) -> None:
        self._thread = threading.Thread(target=do)

        def start_then_poll(*arguments: Any) -> Any:
            monkeypatch.setattr(reading_module, "wait_for_any", wait_for_any)
            self._thread.start()
            return wait_for_any(*arguments)

        monkeypatch.setattr(reading_module, "wait_for_any", start_then_poll)

    def join(self) -> None:
        """Wait until it is over."""
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()


# as_completed.


def test_as_completed(connect: Any, tasks: Tasks) -> None:
    """Responses of several clients come in the order of their ends, those that are done at first."""
    clients = [connect() for _ in range(3)]
    responses = [tasks.start(client, str(number)) for number, client in enumerate(clients)]
    responses.append(clients[1].add(1, nonblocking=True, threadid=1))
    responses[-1].wait()
    seen = []
    for response in easycluster.as_completed(responses, timeout=PATIENCE):
        seen.append(responses.index(response))
        tasks.finish({3: "2", 2: "0", 0: "1", 1: "x"}[seen[-1]])

    assert seen == [3, 2, 0, 1]
    assert [response.result() for response in responses] == ["0", "1", "2", 2]


def test_as_completed_of_many(connect: Any) -> None:
    """Thousands of responses come, each once."""
    clients = [connect() for _ in range(2)]
    responses = [clients[number % 2].add(number, nonblocking=True) for number in range(2000)]

    values = [response.result() for response in easycluster.as_completed([*responses, responses[0]])]

    assert sorted(values) == list(range(1, 2001))
    assert not any(response._watchers for response in responses)


def test_as_completed_with_a_limit(spawn: Any, tasks: Tasks) -> None:
    """When the time is over the iterator raises; the calls go on, and what was done before is given first."""
    client = spawn()
    late = tasks.start(client, "late")
    done = client.add(1, nonblocking=True, threadid=1)
    done.wait()
    iterator = easycluster.as_completed([late, done], timeout=0)
    first = next(iterator)
    with pytest.raises(CallTimeout, match="1 of 2 calls have no answer within 0 seconds"):
        next(iterator)
    tasks.finish("late")

    assert first is done
    assert late.result() == "late"
    assert not late._watchers


def test_iterator_that_is_dropped(spawn: Any, tasks: Tasks) -> None:
    """An iterator that is not used to its end leaves nothing on the responses."""
    client = spawn()
    late = tasks.start(client, "late")
    iterator = easycluster.as_completed([client.add(1, nonblocking=True, threadid=1), late])
    next(iterator)
    watched = len(late._watchers)
    del iterator
    tasks.finish("late")

    assert (watched, late._watchers) == (1, [])
    assert late.result() == "late"


def test_loop_over_answers_that_makes_calls(spawn: Any) -> None:
    """Between two answers, calls may be made on the same clients and waited for."""
    clients = [spawn(), spawn()]
    responses = [client.add(number, nonblocking=True) for client in clients for number in range(50)]
    values = [
        clients[response.result() % 2].add(response.result())
        for response in easycluster.as_completed(responses)
    ]

    assert sorted(values) == sorted(2 * list(range(2, 52)))


# wait.


def test_wait_for_all(connect: Any, tasks: Tasks, monkeypatch: pytest.MonkeyPatch) -> None:
    """`wait` waits for all of several clients."""
    responses = [tasks.start(connect(), name) for name in "abc"]
    ends = Ends(monkeypatch, lambda: tasks.finish(*"cab"))
    done, not_done = easycluster.wait(responses)
    ends.join()

    assert (done, not_done) == (set(responses), set())
    assert [response.result(timeout=0) for response in responses] == ["a", "b", "c"]


def test_wait_for_the_first(spawn: Any, tasks: Tasks) -> None:
    """`FIRST_COMPLETED` ends with the first answer, also when that was there before."""
    responses = [tasks.start(spawn(), name) for name in "abc"]
    tasks.finish("b")
    results = [easycluster.wait(responses, return_when="FIRST_COMPLETED") for _ in range(2)]

    assert [(result.done, result.not_done) for result in results] == [
        ({responses[1]}, {responses[0], responses[2]})
    ] * 2
    tasks.finish("a", "c")


def test_what_came_together(spawn: Any) -> None:
    """`FIRST_COMPLETED` returns all that is done, not only one of it."""
    client = spawn()
    responses = {client.add(number, nonblocking=True) for number in range(3)}
    easycluster.wait(responses)

    assert easycluster.wait(responses, return_when="FIRST_COMPLETED") == (responses, set())


def test_wait_for_the_first_error(spawn: Any, tasks: Tasks) -> None:
    """`FIRST_EXCEPTION` goes on after a value and ends with an error."""
    client = spawn()
    late = tasks.start(spawn(), "late")
    value = client.add(1, nonblocking=True)
    error = client.divide(1, 0, nonblocking=True, origexc="quiet")
    result = easycluster.wait([late, value, error], return_when="FIRST_EXCEPTION")
    tasks.finish("late")

    assert result == ({value, error}, {late})
    assert easycluster.wait([late, value], return_when="FIRST_EXCEPTION") == ({late, value}, set())


def test_wait_with_a_limit(spawn: Any, tasks: Tasks) -> None:
    """When the time is over `wait` returns what is done and what is not."""
    client = spawn()
    late = tasks.start(client, "late")
    done = client.add(1, nonblocking=True, threadid=1)
    done.wait()

    assert easycluster.wait([late, done], timeout=0.01) == ({done}, {late})
    tasks.finish("late")
    assert easycluster.wait([late, done]) == ({late, done}, set())


def test_nothing_to_wait_for() -> None:
    """Nothing is over at once."""
    assert easycluster.wait([]) == (set(), set())
    assert list(easycluster.as_completed([])) == []


@pytest.mark.parametrize("function", [easycluster.wait, easycluster.as_completed])
def test_what_is_no_response(spawn: Any, function: Callable[..., Any]) -> None:
    """What is no response is refused at once, and named."""
    response = spawn().add(1, nonblocking=True)

    with pytest.raises(TypeError, match="only responses of nonblocking calls can be waited for, not 2"):
        function([response, response.wait()])
    assert not response._watchers


def test_unknown_return_when(spawn: Any) -> None:
    """What to wait for must be one of the three words."""
    with pytest.raises(ValueError, match="return_when must be one of .*FIRST_COMPLETED.*, not 'ALL'"):
        easycluster.wait([spawn().add(1, nonblocking=True)], return_when="ALL")


# Connections that end.


@pytest.mark.parametrize("how", ["close", "kill"])
def test_connection_that_ends(spawn: Any, tasks: Tasks, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Responses of a connection that ends are done; the others are waited for."""
    clients = [spawn(), spawn()]
    pid = clients[0].os.getpid()
    responses = [tasks.start(client, name) for client, name in zip(clients, "ab", strict=True)]
    ends = Ends(monkeypatch, clients[0].close if how == "close" else lambda: os.kill(pid, signal.SIGKILL))
    first: list[Any] = []
    second: list[Any] = []
    for response in easycluster.as_completed(responses, timeout=PATIENCE):
        (second if first else first).append(response)
        tasks.finish("b")
    ends.join()

    assert (first, second) == ([responses[0]], [responses[1]])
    assert isinstance(responses[0].exception(), ConnectionLost)
    assert easycluster.wait(responses).done == set(responses)


# Other threads.


def test_connection_that_another_thread_reads(
    spawn: Any, tasks: Tasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Answers that another thread reads count as soon as they are there."""
    client, other = spawn(), spawn()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        reading = pool.submit(tasks.start(client, "last").wait)
        wait_until(client._easycluster_calls.session.turn.reading.locked)
        responses = [
            tasks.start(client, "a", threadid=1),
            tasks.start(other, "b"),
            tasks.start(client, "c", threadid=2),
        ]
        ends = Ends(monkeypatch, lambda: tasks.finish("c"))
        seen = []
        for response in easycluster.as_completed(responses, timeout=PATIENCE):
            seen.append(responses.index(response))
            tasks.finish("b" if seen == [2] else "a")
        ends.join()
        tasks.finish("last")

        assert seen == [2, 1, 0]
        assert reading.result(PATIENCE) == "last"


def test_thread_that_ceases_to_read(spawn: Any, tasks: Tasks, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the thread that read has its answer, whoever waits for several reads on, and others do, too."""
    client = spawn()
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        reading = pool.submit(tasks.start(client, "first").wait)
        wait_until(client._easycluster_calls.session.turn.reading.locked)
        other = pool.submit(tasks.start(client, "other", threadid=1).wait)
        wait_until(lambda: client._easycluster_calls.session.turn.gates)
        response = tasks.start(client, "mine", threadid=2)

        def end() -> None:
            tasks.finish("first")
            reading.result(PATIENCE)
            tasks.finish("mine")

        ends = Ends(monkeypatch, end)
        done, _ = easycluster.wait([response], timeout=PATIENCE)
        ends.join()
        tasks.finish("other")

        assert done == {response}
        assert other.result(PATIENCE) == "other"
    assert client._easycluster_calls.session.turn.gates == {}


def test_thread_that_reads_in_a_completion_function(spawn: Any, tasks: Tasks) -> None:
    """Answers count at once also when the thread that reads them is in a completion function that waits."""
    client = spawn()
    last = tasks.start(client, "last", threadid=1)
    has_begun = threading.Event()

    def complete(value: int) -> None:
        has_begun.set()
        last.wait()

    client.add(1, oncomplete=complete)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        reading = pool.submit(client.add, 2)
        assert has_begun.wait(PATIENCE)  # before this thread reads, and could be the one that calls it
        wait_until(client._easycluster_calls.session.turn.reading.locked)

        def finish(name: str) -> None:
            wait_until(lambda: client._easycluster_calls.session.turn.gates)
            tasks.finish(name)

        seen = []
        responses = [tasks.start(client, name) for name in "abc"]
        pool.submit(finish, "a")
        for response in easycluster.as_completed(responses, timeout=PATIENCE):
            seen.append(response.wait())
            if len(seen) < 3:
                pool.submit(finish, "abc"[len(seen)])
        tasks.finish("last")

        assert seen == ["a", "b", "c"]
        assert reading.result(PATIENCE) == 3


@pytest.mark.parametrize("what", ["an answer", "the end of the reading"])
def test_what_comes_before_one_listens(
    spawn: Any, tasks: Tasks, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is missed that another thread does after it was looked and before it could be noticed."""
    client = spawn()
    session = client._easycluster_calls.session
    listen = session.turn.listen
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        reading = pool.submit(tasks.start(client, "first").wait)
        wait_until(session.turn.reading.locked)
        response = tasks.start(client, "mine", threadid=1)

        def listen_late(gate: Any) -> bool:
            monkeypatch.undo()
            if what == "an answer":
                tasks.finish("mine")
                wait_until(lambda: response.have_response and session.turn.reading.locked())
            else:
                tasks.finish("first")
                reading.result(PATIENCE)
                tasks.finish("mine")
            return bool(listen(gate))

        monkeypatch.setattr(session.turn, "listen", listen_late)
        done, _ = easycluster.wait([response], timeout=PATIENCE)
        tasks.finish("first")

        assert done == {response}
        assert reading.result(PATIENCE) == "first"


def test_threads_that_wait_for_several(spawn: Any) -> None:
    """Several threads may wait for responses of the same clients, each for its own or for the same."""
    clients = [spawn(), spawn()]
    shared = [client.add(0, nonblocking=True) for client in clients]

    def work(number: int) -> list[int]:
        own = [clients[step % 2].add(step, nonblocking=True, threadid=number) for step in range(100)]
        ends = [response.result() for response in easycluster.as_completed(own + shared, timeout=PATIENCE)]
        return sorted(ends)

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        assert list(pool.map(work, range(6))) == [sorted([1, 1, *range(1, 101)])] * 6


# Interrupts.


def test_signal_handlers(spawn: Any, tasks: Tasks, monkeypatch: pytest.MonkeyPatch) -> None:
    """A handler may wait for answers of its own while its thread waits for several; one that raises ends that."""
    client = spawn()
    response = tasks.start(client, "late")
    seen: list[Any] = []

    def handle(number: int, frame: Any) -> None:
        seen.append(client.add(len(seen), threadid=1))
        if len(seen) == 2:
            raise KeyError("of the handler")
        os.kill(os.getpid(), signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, handle)
    try:
        ends = Ends(
            monkeypatch, lambda: signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)
        )
        with pytest.raises(KeyError, match="of the handler"):
            easycluster.wait([response])
        ends.join()
    finally:
        signal.signal(signal.SIGUSR1, before)
    left = client._easycluster_calls.session.turn.gates, response._watchers
    tasks.finish("late")

    assert (seen, left) == ([1, 2], ({}, []))
    assert easycluster.wait([response]).done == {response}
