"""Calls in flight: nonblocking responses, many calls at once, many servers, many threads."""

from __future__ import annotations

import contextlib
import gc
import random
import select
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import easycluster
from easycluster import (
    SINGLE,
    NonblockingResponse,
    RemoteException,
    SerializationError,
    call_multi,
    define_common,
    eval_multi,
    execblock_multi,
)

TLS_TOO = True

DEFINITIONS = """
import os
import threading

log = []

def add(a, b=1):
    log.append(a)
    return a + b

def echo(*args, **kwargs):
    return args, kwargs

def same(value):
    return value

def divide(a, b):
    return a / b

def wait_for(path):
    import time
    while not os.path.exists(path):
        time.sleep(0.001)

def thread():
    return threading.get_ident()
"""

MIB = 1 << 20


@pytest.fixture
def client(connect: Any) -> Any:
    """A client with the definitions above."""
    define_common(DEFINITIONS)
    return connect()


def test_wait(client: Any) -> None:
    """`wait` gives the value, each time the same object."""
    response = client.same([1, 2], nonblocking=True)

    value = response.wait()

    assert value == [1, 2]
    assert response.wait() is value
    assert response.have_response
    assert isinstance(response, NonblockingResponse)
    assert response.client is client


def test_returns_before_the_end(client: Any, tmp_path: Any) -> None:
    """A nonblocking call returns while the server is still at it."""
    path = tmp_path / "go"
    response = client.wait_for(str(path), nonblocking=True)

    assert not response.have_response
    assert "pending" in repr(response)
    path.touch()
    assert response.wait() is None
    assert "done" in repr(response)


def test_order(client: Any) -> None:
    """Calls of one thread run in the order in which they were made, however they are waited for."""
    responses = [client.add(number, nonblocking=True) for number in range(50)]

    assert responses[-1].wait() == 50
    assert all(response.have_response for response in responses)
    assert client.log.value == list(range(50))


def test_many_in_flight(client: Any) -> None:
    """A thousand calls may be in flight, and be waited for in any order."""
    numbers = list(range(1000))
    responses = {number: client.add(number, nonblocking=True) for number in numbers}
    random.Random(1).shuffle(numbers)

    assert all(responses[number].wait() == number + 1 for number in numbers)


def test_many_large_in_flight(client: Any) -> None:
    """A hundred echoes of 1 MiB may be in flight before the first is waited for."""
    values = [bytes([number]) * MIB for number in range(100)]

    responses = [client.same(value, nonblocking=True) for value in values]

    assert all(response.wait() == value for response, value in zip(responses, values, strict=True))


@pytest.mark.xdist_group("memory")
@pytest.mark.parametrize("transport", ["local", "tcp"], indirect=True)
def test_a_gibibyte_in_flight(connect: Any) -> None:
    """A thousand echoes of 1 MiB are in flight before the first is waited for: sends never wait for sends."""
    define_common(DEFINITIONS)
    client = connect()
    block = random.Random(1).randbytes(MIB - 4)

    responses = [client.same(number.to_bytes(4, "big") + block, nonblocking=True) for number in range(1000)]
    wrong = []
    for number in reversed(range(1000)):
        value = responses.pop().wait()  # and away with it
        if value[:4] != number.to_bytes(4, "big") or value[4:] != block:
            wrong.append(number)

    assert wrong == []


def test_large_answers_in_flight(client: Any) -> None:
    """Small calls with large answers may be in flight, too."""
    responses = [client.eval(f"b'x' * {MIB}", nonblocking=True) for _ in range(50)]

    assert {len(response.wait()) for response in responses} == {MIB}


def test_responses_as_objects(client: Any) -> None:
    """Responses can be put in sets, and take attributes of the caller's own."""
    responses = {client.add(number, nonblocking=True) for number in range(10)}
    for response in responses:
        response.label = response.request_id

    assert len(responses) == 10
    assert {response.wait() for response in responses} == set(range(1, 11))
    assert all(response.label == response.request_id for response in responses)


def test_select(client: Any) -> None:
    """A response can be given to `select`, and read when there is something to read."""
    response = client.add(1, nonblocking=True)

    while not response.have_response:
        assert select.select([response], [], [], 30)[0] == [response]
        response.read_response(False)

    assert response.wait() == 2


def test_read_response_without_waiting(client: Any, tmp_path: Any) -> None:
    """`read_response(False)` returns at once when nothing has come."""
    response = client.wait_for(str(tmp_path / "go"), nonblocking=True)

    assert client.read_response(False) is False
    (tmp_path / "go").touch()
    response.wait()


def test_dropped_response(client: Any) -> None:
    """The answer to a response that was dropped is thrown away."""
    for number in range(100):
        client.add(number, nonblocking=True)

    assert client.add(1) == 2
    assert client._easycluster_calls.session._calls.by_number == {}


def test_oncomplete(client: Any) -> None:
    """A completion function is called when the answer is read, with further arguments if it has some."""
    seen: list[Any] = []
    client.add(1, oncomplete=seen.append)
    client.add(2, oncomplete=(lambda *args: seen.append(args), "a", "b"))

    assert seen == []
    while len(seen) < 2:
        client.read_response()

    assert seen == [2, (3, "a", "b")]


def test_oncomplete_on_error(client: Any) -> None:
    """Without `onerror` the completion function gets the error; with it, it is not called."""
    complete: list[Any] = []
    error: list[Any] = []
    client.divide(1, 0, oncomplete=complete.append)
    client.divide(1, 0, oncomplete=complete.append, onerror=error.append)
    client.divide(4, 2, oncomplete=complete.append, onerror=error.append)
    client.divide(4, 2, onerror=error.append)
    while len(complete) < 2:
        client.read_response()
    client.add(1)

    assert isinstance(complete[0], RemoteException)
    assert complete[1:] == [2.0]
    assert [type(item.orig) for item in error] == [ZeroDivisionError]


def test_completion_that_calls(client: Any) -> None:
    """A completion function may make calls of its own, blocking ones too."""
    seen: list[Any] = []

    def again(value: int) -> None:
        if value < 5:
            seen.append(client.same(value))
            client.add(value, oncomplete=again)
        else:
            seen.append("end")

    client.add(0, oncomplete=again)
    while "end" not in seen:
        client.read_response()

    assert seen == [1, 2, 3, 4, "end"]


def test_call_multi(connect: Any) -> None:
    """`call_multi` gives the results in the order of the connections."""
    define_common(DEFINITIONS)
    clients = [connect() for _ in range(3)]
    for number, client in enumerate(clients):
        client.place.value = number

    assert eval_multi(clients, "place") == [0, 1, 2]
    assert eval_multi(reversed(clients), "place") == [2, 1, 0]
    assert call_multi(clients, "add", 2, b=3) == [5, 5, 5]
    assert execblock_multi(clients, "exec_return(place * 2)") == [0, 2, 4]
    assert call_multi([], "add", 2) == []


def test_call_multi_keywords(client: Any) -> None:
    """`call_multi` reserves no keywords beside the five, and knows those."""
    assert call_multi([client], "echo", connections=1, func=2) == [((), {"connections": 1, "func": 2})]
    assert call_multi([client], "add", 1, threadid=5) == [2]
    with pytest.raises(RemoteException):
        call_multi([client], "divide", 1, 0, origexc=False)


def test_call_multi_is_parallel(connect: Any, tmp_path: Any) -> None:
    """The calls of `call_multi` run at once: each of these waits for what the next one makes."""
    define_common(DEFINITIONS)
    clients = [connect() for _ in range(2)]
    for number, client in enumerate(clients):
        client.execblock(
            f"def meet(folder):\n    open(folder + '/{number}', 'w').close()\n"
            f"    wait_for(folder + '/{1 - number}')\n    return {number}"
        )

    assert call_multi(clients, "meet", str(tmp_path)) == [0, 1]


def test_first_error(connect: Any) -> None:
    """When several fail, the error of the first connection is raised, after all calls have ended."""
    define_common(DEFINITIONS)
    clients = [connect() for _ in range(3)]
    clients[0].value.value = 1
    clients[1].execblock("value = None")
    clients[2].value.value = 0

    with pytest.raises(TypeError):
        eval_multi(clients, "log.append('run') or 1 / value")

    assert [client.log.value for client in clients] == [["run"]] * 3


def test_error_before_sending(connect: Any) -> None:
    """An argument that cannot be sent is the error of `call_multi`, and all connections go on."""
    define_common(DEFINITIONS)
    clients = [connect() for _ in range(2)]

    with pytest.raises(SerializationError):
        call_multi(clients, "same", threading.Lock())

    assert call_multi(clients, "add", 1) == [2, 2]


def test_one_connection_is_closed(connect: Any) -> None:
    """A connection that is closed is the error; the others are called all the same."""
    define_common(DEFINITIONS)
    clients = [connect() for _ in range(2)]
    clients[0].close()

    with pytest.raises(OSError, match="not connected"):
        call_multi(clients, "add", 7)

    assert clients[1].log.value == [7]


def test_threads_share_a_client(client: Any) -> None:
    """Threads that use one client at once each get their own answers."""

    def work(number: int) -> list[int]:
        answers = []
        for step in range(30):
            in_flight = client.same(bytes(number) * 5000, nonblocking=True)
            answers.append(client.add(number * 1000, step))
            assert in_flight.wait() == bytes(number) * 5000
        return answers

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(work, range(8)))

    assert results == [[number * 1000 + step for step in range(30)] for number in range(8)]


def test_threads_wait_for_one_response(client: Any, tmp_path: Any) -> None:
    """Several threads may wait for the same response."""
    response = client.wait_for(str(tmp_path / "go"), nonblocking=True)
    answer = client.same("answer", nonblocking=True)

    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(answer.wait) for _ in range(4)]
        (tmp_path / "go").touch()
        assert [future.result(60) for future in waiting] == ["answer"] * 4

    assert response.wait() is None


def test_threads_send_large_and_small(client: Any) -> None:
    """Small calls pass while large ones of other threads are on their way."""
    large = bytes(range(256)) * (4 * MIB // 256)

    def send_large(_: int) -> bool:
        return bool(client.same(large, threadid=1) == large)

    def send_small(number: int) -> Any:
        return client.add(number, threadid=2)

    with ThreadPoolExecutor(4) as pool:
        larges = pool.map(send_large, range(8))
        smalls = pool.map(send_small, range(200))
        assert all(larges)
        assert list(smalls) == list(range(1, 201))


def test_server_threads_run_at_once(client: Any, tmp_path: Any) -> None:
    """Calls of other threadids run while the main thread of the server is busy."""
    busy = client.wait_for(str(tmp_path / "go"), nonblocking=True)

    assert client.add(1, threadid=1) == 2
    assert client.add(1, threadid=SINGLE) == 2
    assert not busy.have_response
    (tmp_path / "go").touch()
    busy.wait()


def test_single_threads_are_new(client: Any, tmp_path: Any) -> None:
    """Each call with SINGLE has a thread of its own, so these can wait for each other."""
    waiting = [client.wait_for(str(tmp_path / "go"), nonblocking=True, threadid=SINGLE) for _ in range(5)]

    client.eval(f"open({str(tmp_path / 'go')!r}, 'w').close()", threadid=SINGLE)

    assert [response.wait() for response in waiting] == [None] * 5


def test_stop_remote_thread(client: Any) -> None:
    """A server thread that was stopped ends; a later call with its id gets a new one."""
    client.add(1, threadid=7)
    names = "[t.name for t in threading.enumerate()]"
    assert "easycluster-7" in client.eval(names)

    client.stop_remote_thread(7)
    client.execblock("for t in threading.enumerate():\n    if t.name == 'easycluster-7': t.join()")

    assert "easycluster-7" not in client.eval(names)
    assert client.add(1, threadid=7) == 2


def test_outcomes(connect: Any) -> None:
    """The good results of a call that fails on one host are found by its error, or returned together with it."""
    clients = [connect(), connect()]
    clients[1].limit.value = 1
    with pytest.raises(NameError) as caught:
        easycluster.eval_multi(clients, "limit")
    found = easycluster.call_multi(easycluster.options(clients, errors="return"), "divmod", 7, 2)

    first, second = easycluster.outcomes(caught.value)
    assert (first.host, first.error, second.value) == (clients[0].peername, caught.value, 1)
    assert found == [easycluster.Outcome(each.peername, (3, 1), None) for each in clients]


@pytest.mark.parametrize("errors", ["raise", "return"])
def test_outcomes_leave_no_garbage(local: Any, errors: str) -> None:
    """Errors, responses and values go with the last reference, without a collection."""

    def call() -> None:
        with contextlib.suppress(ZeroDivisionError):
            easycluster.call_multi(
                easycluster.options([local, local], errors=errors), "divmod", 1, 0, origexc="quiet"
            )

    call()
    gc.collect()
    gc.disable()
    try:
        call()
        assert gc.collect() == 0
    finally:
        gc.enable()
