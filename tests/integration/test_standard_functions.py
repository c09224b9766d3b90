"""Responses of a ThreadedClient in `concurrent.futures.wait` and `concurrent.futures.as_completed`."""

from __future__ import annotations

import concurrent.futures
import os
import signal
from concurrent.futures import ALL_COMPLETED, FIRST_COMPLETED, FIRST_EXCEPTION, ThreadPoolExecutor
from typing import Any

import pytest

import easycluster
from easycluster import OutcomeUnknown, ThreadedClient
from helpers.remote_tasks import Tasks
from helpers.waiting import PATIENCE, wait_until

pytestmark = pytest.mark.usefixtures("task_definitions")


@pytest.fixture
def client(connect: Any) -> Any:
    """A ThreadedClient, over each transport."""
    return connect(ThreadedClient)


@pytest.fixture
def local(spawn: Any) -> Any:
    """A ThreadedClient of a local server."""
    return spawn(ThreadedClient)


def start(tasks: Tasks, client: Any, *names: str) -> list[Any]:
    """Calls of these names, each in a thread of its own."""
    return [tasks.start(client, name, threadid=number) for number, name in enumerate(names, 1)]


def test_all_completed(client: Any, tasks: Tasks) -> None:
    """`wait` returns when all are done, values and errors alike."""
    responses = start(tasks, client, "a", "b")
    failing = client.divide(1, 0, nonblocking=True, origexc="quiet")
    tasks.finish("a", "b")
    found = concurrent.futures.wait([*responses, failing], PATIENCE)

    assert (found.done, found.not_done) == ({*responses, failing}, set())
    assert [response.result() for response in responses] == ["a", "b"]
    assert isinstance(failing.exception(), ZeroDivisionError)


def test_first_completed(client: Any, tasks: Tasks) -> None:
    """`FIRST_COMPLETED` returns with the first, and at once when one is done already."""
    responses = start(tasks, client, "a", "b")
    tasks.finish("b")
    first = concurrent.futures.wait(responses, PATIENCE, FIRST_COMPLETED)
    again = concurrent.futures.wait(responses, PATIENCE, FIRST_COMPLETED)
    tasks.finish("a")
    last = concurrent.futures.wait(responses, PATIENCE)

    assert first == again == ({responses[1]}, {responses[0]})
    assert last.not_done == set()


def test_first_exception(client: Any, tasks: Tasks) -> None:
    """`FIRST_EXCEPTION` returns with the first error, also one that came before, and not with a value."""
    responses = start(tasks, client, "a", "b")
    tasks.finish("a")
    wait_until(lambda: responses[0].have_response)
    failing = client.divide(1, 0, nonblocking=True, origexc="quiet")
    everything = {*responses, failing}
    first = concurrent.futures.wait(everything, PATIENCE, FIRST_EXCEPTION)
    again = concurrent.futures.wait(everything, PATIENCE, FIRST_EXCEPTION)
    tasks.finish("b")

    assert first.done >= {failing}
    assert first.not_done == again.not_done == {responses[1]}
    assert concurrent.futures.wait(responses, PATIENCE, FIRST_EXCEPTION).not_done == set()


@pytest.mark.parametrize("return_when", [ALL_COMPLETED, FIRST_COMPLETED, FIRST_EXCEPTION])
def test_end_of_the_time(local: Any, tasks: Tasks, return_when: str) -> None:
    """When the time is over `wait` returns what is done, and leaves nothing on the others."""
    (late,) = start(tasks, local, "late")
    found = concurrent.futures.wait([late], 0.01, return_when)
    waiters = list(late._waiters)
    tasks.finish("late")

    assert (found, waiters) == ((set(), {late}), [])
    assert late.result() == "late"


def test_as_completed(client: Any, tasks: Tasks) -> None:
    """`as_completed` gives each as soon as it is done, those that are done at first."""
    responses = start(tasks, client, "a", "b", "c")
    tasks.finish("b")
    wait_until(lambda: responses[1].have_response)
    order = concurrent.futures.as_completed(responses, PATIENCE)
    seen = [next(order)]
    for name in "ca":
        tasks.finish(name)
        seen.append(next(order))

    assert [response.result() for response in seen] == ["b", "c", "a"]
    assert list(order) == []


def test_as_completed_with_a_limit(local: Any, tasks: Tasks) -> None:
    """When the time is over the iterator raises, and leaves nothing on the others."""
    responses = start(tasks, local, "a", "late")
    tasks.finish("a")
    responses[0].result()
    order = concurrent.futures.as_completed(responses, 0.01)
    first = next(order)
    with pytest.raises(concurrent.futures.TimeoutError, match="1 .*of 2"):
        next(order)
    tasks.finish("late")

    assert (first, responses[1]._waiters) == (responses[0], [])


@pytest.mark.parametrize("return_when", [ALL_COMPLETED, FIRST_COMPLETED, FIRST_EXCEPTION])
def test_beside_other_futures(local: Any, tasks: Tasks, return_when: str) -> None:
    """Responses of several clients and futures of executors are waited for together."""
    with easycluster.server.spawn_local(ThreadedClient) as other, ThreadPoolExecutor(1) as pool:
        responses = [tasks.start(local, "a"), tasks.start(other, "b")]
        own: concurrent.futures.Future[str] = concurrent.futures.Future()
        futures: list[Any] = [*responses, own, pool.submit(str, 1)]
        order = concurrent.futures.as_completed(futures, PATIENCE)
        seen = [next(order)]
        tasks.finish("b")
        seen.append(next(order))
        own.set_result("own")
        seen.append(next(order))
        tasks.finish("a")
        found = concurrent.futures.wait(futures, PATIENCE, return_when)
        seen.append(next(order))

        assert [future.result() for future in seen] == ["1", "b", "own", "a"]
        assert found.done >= {own, responses[1]}


@pytest.mark.parametrize("how", ["lost", "closed"])
def test_connection_that_ends(local: Any, tasks: Tasks, how: str) -> None:
    """Responses of a connection that ends are done, as errors."""
    responses = start(tasks, local, "a", "b")
    ends = concurrent.futures.as_completed(responses, PATIENCE)
    with ThreadPoolExecutor(3) as pool:
        waits = [
            pool.submit(concurrent.futures.wait, responses, PATIENCE, when)
            for when in (ALL_COMPLETED, FIRST_EXCEPTION)
        ]
        ended = pool.submit(list, ends)
        wait_until(lambda: all(len(response._waiters) == 3 for response in responses))
        local.close() if how == "closed" else os.kill(
            local._easycluster_calls.session.link.agreement.peer.process, signal.SIGKILL
        )
        found = [each.result(PATIENCE) for each in waits]

        assert set(ended.result(PATIENCE)) == set(responses) == found[0].done
        assert found[1].done
    assert [type(response.exception()) for response in responses] == [OutcomeUnknown] * 2


def test_many_threads(local: Any) -> None:
    """Any number of threads may wait for the same responses and for their own, while others wait themselves."""
    shared = [local.add(number, nonblocking=True, threadid=number % 3) for number in range(50)]

    def run(number: int) -> bool:
        own = [local.same(more, nonblocking=True) for more in range(50)]
        everything = [*own, *shared]
        if number % 3 == 0:
            return concurrent.futures.wait(everything, PATIENCE).not_done == set()
        if number % 3 == 1:
            return set(concurrent.futures.as_completed(everything, PATIENCE)) == set(everything)
        return [response.wait() for response in own] == list(range(50))

    with ThreadPoolExecutor(12) as pool:
        assert all(pool.map(run, range(12)))
    assert [response._waiters for response in shared] == [[]] * 50


def test_what_waits_for_each_other(local: Any, tasks: Tasks) -> None:
    """`wait` of the standard library and ours may wait for the same responses."""
    responses = start(tasks, local, "a", "b")
    with ThreadPoolExecutor(2) as pool:
        standard = pool.submit(concurrent.futures.wait, responses, PATIENCE)
        ours = pool.submit(easycluster.wait, responses, PATIENCE)
        wait_until(lambda: all(len(response._watchers or ()) == 2 for response in responses))
        tasks.finish("a", "b")

        found: list[Any] = [standard.result(PATIENCE), ours.result(PATIENCE)]
        assert [each.done for each in found] == [set(responses)] * 2


def test_plain_clients(spawn: Any) -> None:
    """Responses of a `Client`, for which nobody would read, are refused with the name of what to use."""
    response = spawn().add(1, nonblocking=True)

    for function in (concurrent.futures.wait, lambda futures: next(concurrent.futures.as_completed(futures))):
        with pytest.raises(TypeError, match=r"use easycluster\.wait and easycluster\.as_completed"):
            function([response])
    assert response.result() == 2
