"""Limits on calls, and what the error says of a call that took longer."""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import pickle
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import easycluster
from easycluster import SINGLE, CallTimeout, Client, EasyClusterError, ThreadedClient, options as with_options
from helpers.remote_tasks import Tasks
from helpers.waiting import PATIENCE, wait_until

THREADED_TOO = True
TLS_TOO = True

pytestmark = pytest.mark.usefixtures("task_definitions")

#: A limit that is over soon, but not before a server that is busy with other tests has said a word.
SHORT = 0.05


@pytest.mark.parametrize("ask", ["wait", "result", "exception"])
def test_limit_of_a_wait(client: Any, tasks: Tasks, ask: str) -> None:
    """A wait that is too long ends with an error that says so; the call goes on and can be waited for again."""
    response = tasks.start(client, "late")

    with pytest.raises(CallTimeout, match=r"no answer from wait_for on .* within 0\.01 seconds") as caught:
        getattr(response, ask)(timeout=0.01)
    tasks.finish("late")

    assert isinstance(caught.value, (TimeoutError, EasyClusterError))
    assert caught.value.response is response
    assert response.result(timeout=PATIENCE) == "late"


def test_limit_of_futures(spawn: Any, tasks: Tasks) -> None:
    """What scripts for `concurrent.futures` catch is raised, also before Python 3.11."""
    response = tasks.start(spawn(), "late")

    with pytest.raises(concurrent.futures.TimeoutError) as caught:
        response.result(timeout=0)

    assert isinstance(caught.value, TimeoutError)
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (type(copy), str(copy), copy.state) == (CallTimeout, str(caught.value), "sent")
    assert copy.response is None


def test_limit_while_another_thread_reads(spawn: Any, tasks: Tasks) -> None:
    """The limit holds for a thread for which another one reads, and does not disturb that one."""
    client = spawn()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        reading = pool.submit(tasks.start(client, "first").wait)
        wait_until(client._easycluster_calls.session.turn.reading.locked)
        late = tasks.start(client, "late", threadid=1)
        with pytest.raises(CallTimeout):
            late.wait(timeout=0.01)
        tasks.finish("first", "late")

        assert reading.result(PATIENCE) == "first"
        assert late.wait() == "late"
    assert not client._easycluster_calls.session.turn.gates


def test_long_limits(spawn: Any) -> None:
    """A limit may be longer than any system can count, or infinite."""
    client = spawn()

    assert client.add(1, nonblocking=True).result(timeout=1e300) == 2
    assert client.add(1, nonblocking=True).result(timeout=float("inf")) == 2


@pytest.mark.parametrize("timeout", [0, -1, -0.5])
def test_limits_that_are_over(spawn: Any, tasks: Tasks, timeout: float) -> None:
    """What is left until a deadline may be negative: then nobody waits. No view has such a limit."""
    client = spawn()
    response = tasks.start(client, "a", threadid=1)

    for ask in (response.wait, response.result, response.exception):
        with pytest.raises(CallTimeout, match=f"within {timeout} seconds"):
            ask(timeout=timeout)
    assert easycluster.wait([response], timeout=timeout).not_done == {response}
    with pytest.raises(CallTimeout):
        next(easycluster.as_completed([response], timeout=timeout))
    easycluster.ClientGroup([client]).read_responses(timeout=timeout)
    with pytest.raises(ValueError, match="from 0 on"):
        with_options(client, timeout=-1)
    tasks.finish("a")
    assert response.wait() == "a"


@pytest.mark.parametrize(("timeout", "kind"), [("5", TypeError), (float("nan"), ValueError)])
def test_limit_that_is_none(spawn: Any, timeout: Any, kind: type[Exception]) -> None:
    """A limit that is no number of seconds is refused, wherever it is given."""
    client = spawn()
    response = client.add(1, nonblocking=True)
    asks: list[Callable[..., Any]] = [
        response.wait,
        response.result,
        lambda **limit: easycluster.wait([response], **limit),
        lambda **limit: easycluster.as_completed([response], **limit),
        lambda **limit: with_options(client, **limit),
        lambda **limit: easycluster.ClientGroup([client]).read_responses(**limit),
    ]

    for ask in asks:
        with pytest.raises(kind, match="timeout must be a number of seconds"):
            ask(timeout=timeout)
    assert response.wait() == 2


def test_limit_of_a_call(client: Any, tasks: Tasks) -> None:
    """A call with a limit raises when that is over; its response is in the error, and the client goes on."""
    with pytest.raises(CallTimeout) as caught:
        with_options(client, timeout=0.01).wait_for(tasks.path("late"))
    other = client.add(1, threadid=1)
    tasks.finish("late")

    assert other == 2
    assert caught.value.response.wait() == "late"


def test_limit_of_a_nonblocking_call(spawn: Any, tasks: Tasks) -> None:
    """Each wait for its response that is given no other limit has that one."""
    response = tasks.start(with_options(spawn(), timeout=0), "late")
    for _ in range(2):
        with pytest.raises(CallTimeout):
            response.wait()
    tasks.finish("late")

    assert response.wait(timeout=PATIENCE) == "late"


# What is known of the call.


async def awaited(response: Any) -> Any:
    """Await it."""
    return await response


#: Ways to wait for an answer, but not for long.
WAYS: dict[str, Callable[[Any], Any]] = {
    "wait": lambda response: response.wait(timeout=SHORT),
    "result": lambda response: response.result(SHORT),
    "exception": lambda response: response.exception(SHORT),
    "await": lambda response: asyncio.run(awaited(response)),
}


def last_words(ask: Callable[[], Any]) -> CallTimeout:
    """Ask what has to end by its limit; return the error."""
    with pytest.raises(CallTimeout) as caught:
        ask()
    return caught.value


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("threadid", [0, 1, SINGLE], ids=["0", "1", "SINGLE"])
def test_call_that_has_started(spawn: Any, tasks: Tasks, way: str, threadid: Any) -> None:
    """However it is waited for, and in whatever thread it runs: that it has started is known when the server said so."""
    response = tasks.start(with_options(spawn(), timeout=SHORT), "late", threadid=threadid)
    wait_until(lambda: last_words(lambda: WAYS[way](response)).state == "started")
    error = last_words(lambda: WAYS[way](response))
    tasks.finish("late")

    assert (error.state, error.response) == ("started", response)
    assert "the call was started, and goes on there" in str(error)


def test_blocking_call_that_has_started(client: Any, tasks: Tasks) -> None:
    """A call that is waited for says the same, over every transport."""
    call = with_options(client, timeout=SHORT, threadid=SINGLE).wait_for
    errors: list[CallTimeout] = []

    def has_started() -> bool:
        errors.append(last_words(lambda: call(tasks.path("late"))))
        return errors[-1].state == "started"

    wait_until(has_started)
    tasks.finish("late")

    assert errors[-1].response.wait() == "late"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("threadid", [0, 1])
def test_call_that_waits_for_its_turn(spawn: Any, tasks: Tasks, way: str, threadid: int) -> None:
    """A call behind another one of its thread was sent, and is not taken for started."""
    client = with_options(spawn(), timeout=SHORT, threadid=threadid)
    first = tasks.start(client, "first")
    second = tasks.start(client, "second")
    wait_until(lambda: last_words(lambda: WAYS[way](first)).state == "started")
    error = last_words(lambda: WAYS[way](second))
    tasks.finish("first", "second")

    assert error.state == "sent"
    assert "the call was sent, and goes on there" in str(error)
    assert second.result(PATIENCE) == "second"


def test_several_calls(spawn: Any, tasks: Tasks) -> None:
    """Of several calls that are waited for together no more is said than that they were sent."""
    responses = [tasks.start(spawn(), "late") for _ in range(2)]
    error = last_words(lambda: next(easycluster.as_completed(responses, timeout=0)))
    tasks.finish("late")

    assert (error.state, error.response) == ("sent", None)


@contextmanager
def stopped(client: Any) -> Iterator[None]:
    """The server's process does nothing."""
    pid = client.os.getpid()
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


LARGE = bytes(50_000_000)


@pytest.mark.parametrize("clientclass", [Client, ThreadedClient])
def test_server_that_takes_nothing_in(spawn: Any, clientclass: Any) -> None:
    """A limit also ends a call that cannot even be sent; later calls find the connection unharmed."""
    client = spawn(clientclass)
    with stopped(client):
        silent = last_words(lambda: with_options(client, timeout=SHORT).add(1))
        error = last_words(lambda: with_options(client, timeout=SHORT).same(LARGE))
        behind = last_words(lambda: with_options(client, timeout=SHORT).add(1))

    assert silent.state == "sent"
    assert (error.state, error.response) == ("unknown", None)
    assert (behind.state, behind.response) == ("not sent", None)
    assert "does not read at present" in str(error)
    assert client.add(1) == 2
    assert client.same(LARGE) == LARGE
    assert client._easycluster_calls.session._calls.by_number == {}


@pytest.mark.parametrize("clientclass", [Client, ThreadedClient])
def test_behind_another_thread(spawn: Any, clientclass: Any) -> None:
    """A limit also ends a call that has to wait for another thread's; that one goes on, and this one is not run."""
    client = spawn(clientclass)
    client.execblock("calls = []")
    results: list[bytes] = []
    thread = threading.Thread(target=lambda: results.append(client.same(LARGE)))
    view = with_options(client, timeout=SHORT)
    with stopped(client):
        thread.start()
        wait_until(lambda: client._easycluster_calls.session._channel.link.sender.has_unsent)
        errors = [
            last_words(lambda: view.calls.append(1)),
            last_words(lambda: view.calls.append(1, nonblocking=True)),
        ]
    thread.join(PATIENCE)

    assert results == [LARGE]
    assert [error.state for error in errors] == ["not sent"] * 2
    assert "will not be run" in str(errors[0])
    assert client.calls.value == []
