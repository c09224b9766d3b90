"""Responses as futures: the methods of `concurrent.futures.Future`, limits, and callbacks."""

from __future__ import annotations

import concurrent.futures
import gc
import os
import pickle
import signal
import threading
import weakref
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

import easycluster
from easycluster import CallTimeout, ConnectionLost, EasyClusterError, RemoteException
from helpers.remote_tasks import Tasks
from helpers.waiting import PATIENCE, wait_until

pytestmark = pytest.mark.usefixtures("task_definitions")


# What a future can be asked.


def test_result(client: Any, tasks: Tasks) -> None:
    """`result` waits and returns the value; a response runs until then and cannot be cancelled."""
    response = tasks.start(client, "value")
    before = response.running(), response.done(), response.cancel(), response.cancelled()
    tasks.finish("value")

    assert response.result() == "value"
    assert before == (True, False, False, False)
    assert (response.running(), response.done(), response.cancel(), response.cancelled()) == (
        False,
        True,
        False,
        False,
    )
    assert response.exception() is None


def test_done_reads(client: Any) -> None:
    """`done` reads what has come, so asking again and again is enough."""
    response = client.add(1, nonblocking=True)

    wait_until(response.done)

    assert response.have_response
    assert response.result(timeout=0) == 2


def test_exception(client: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """`exception` returns what `result` raises, without printing it."""
    original = client.divide(1, 0, nonblocking=True, origexc="quiet")
    wrapped = client.divide(1, 0, nonblocking=True, origexc=False)
    errors = original.exception(), wrapped.exception()

    assert [type(error) for error in errors] == [ZeroDivisionError, RemoteException]
    assert capsys.readouterr().err == ""
    with pytest.raises(ZeroDivisionError):
        original.result()
    with pytest.raises(RemoteException):
        wrapped.result()


def test_exception_of_a_closed_client(spawn: Any, tasks: Tasks) -> None:
    """A response of a closed client is done, and says why there is no answer, whatever it is asked."""
    client = spawn()
    response = tasks.start(client, "never")
    client.close("closed by the test")

    assert response.done()
    assert isinstance(response.exception(), ConnectionLost)
    for ask in (response.wait, response.result, response.fileno):
        with pytest.raises(ConnectionLost, match="closed by the test"):
            ask()


def test_descriptor_of_an_old_connection(tcp_server: Any, key: bytes, tasks: Tasks) -> None:
    """After a reconnect a response does not offer the descriptor of the new connection."""
    with easycluster.Client(key, "127.0.0.1", tcp_server.port) as client:
        response = tasks.start(client, "never")
        client.reconnect()

        with pytest.raises(ConnectionLost):
            response.fileno()
        assert response.done()


def test_dropped_responses_go(spawn: Any) -> None:
    """A response that nobody holds is gone as soon as its answer was read, with or without an error."""
    client = spawn()
    gc.disable()
    try:
        responses = [client.same(bytes(1 << 16), nonblocking=True), client.divide(1, 0, nonblocking=True)]
        references = [weakref.ref(response) for response in responses]
        for ask in (responses[1].wait, responses[1].result, client.divide):
            with pytest.raises((ZeroDivisionError, TypeError)):
                ask()
        del responses, ask
        unread = weakref.ref(client.same(bytes(1 << 16), nonblocking=True))
        client.add(1)

        assert [reference() for reference in (*references, unread)] == [None, None, None]
    finally:
        gc.enable()


# Limits.


@pytest.mark.parametrize("ask", ["wait", "result", "exception"])
def test_limit_of_a_wait(client: Any, tasks: Tasks, ask: str) -> None:
    """A wait that is too long ends with an error that says so; the call goes on and can be waited for again."""
    response = tasks.start(client, "late")

    with pytest.raises(CallTimeout, match=r"no answer from wait_for on .* within 0\.01 seconds") as caught:
        getattr(response, ask)(timeout=0.01)
    tasks.finish("late")

    assert isinstance(caught.value, (TimeoutError, EasyClusterError))
    assert (caught.value.state, caught.value.response) == ("sent", response)
    assert response.result(timeout=PATIENCE) == "late"


def test_limit_of_futures(spawn: Any, tasks: Tasks) -> None:
    """What scripts for `concurrent.futures` catch is raised, also before Python 3.11."""
    response = tasks.start(spawn(), "late")

    with pytest.raises(concurrent.futures.TimeoutError) as caught:
        response.result(timeout=0)

    assert isinstance(caught.value, TimeoutError)
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (type(copy), str(copy), copy.state, copy.response) == (
        CallTimeout,
        str(caught.value),
        "sent",
        None,
    )


def test_limit_while_another_thread_reads(spawn: Any, tasks: Tasks) -> None:
    """The limit holds for a thread for which another one reads, and does not disturb that one."""
    client = spawn()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        reading = pool.submit(tasks.start(client, "first").wait)
        wait_until(client._easycluster.session._reading.locked)
        late = tasks.start(client, "late", threadid=1)
        with pytest.raises(CallTimeout):
            late.wait(timeout=0.01)
        tasks.finish("first", "late")

        assert reading.result(PATIENCE) == "first"
        assert late.wait() == "late"
    assert not client._easycluster.session._gates


def test_long_limits(spawn: Any) -> None:
    """A limit may be longer than any system can count, or infinite."""
    client = spawn()

    assert client.add(1, nonblocking=True).result(timeout=1e300) == 2
    assert client.add(1, nonblocking=True).result(timeout=float("inf")) == 2


@pytest.mark.parametrize(
    ("timeout", "kind"), [("5", TypeError), (-1, ValueError), (float("nan"), ValueError)]
)
def test_limit_that_is_none(spawn: Any, timeout: Any, kind: type[Exception]) -> None:
    """A limit that is no number of seconds is refused, wherever it is given."""
    client = spawn()
    response = client.add(1, nonblocking=True)
    asks: list[Callable[..., Any]] = [
        response.wait,
        response.result,
        lambda **limit: easycluster.wait([response], **limit),
        lambda **limit: easycluster.as_completed([response], **limit),
        lambda **limit: easycluster.options(client, **limit),
        lambda **limit: easycluster.ClientGroup([client]).read_responses(**limit),
    ]

    for ask in asks:
        with pytest.raises(kind, match="timeout must be a number of seconds"):
            ask(timeout=timeout)
    assert response.wait() == 2


def test_limit_of_a_call(client: Any, tasks: Tasks) -> None:
    """A call with a limit raises when that is over; its response is in the error, and the client goes on."""
    with pytest.raises(CallTimeout) as caught:
        easycluster.options(client, timeout=0.01).wait_for(tasks.path("late"))
    other = client.add(1, threadid=1)
    tasks.finish("late")

    assert other == 2
    assert caught.value.response.wait() == "late"


def test_limit_of_a_nonblocking_call(spawn: Any, tasks: Tasks) -> None:
    """Each wait for its response that is given no other limit has that one."""
    response = tasks.start(easycluster.options(spawn(), timeout=0), "late")
    for _ in range(2):
        with pytest.raises(CallTimeout):
            response.wait()
    tasks.finish("late")

    assert response.wait(timeout=PATIENCE) == "late"


def test_server_that_takes_nothing_in(spawn: Any) -> None:
    """A limit also ends a call that cannot even be sent; later calls find the connection unharmed."""
    client = spawn()
    pid = client.os.getpid()
    large = bytes(50_000_000)
    os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(CallTimeout, match="takes nothing in") as caught:
            easycluster.options(client, timeout=0.05).same(large)
    finally:
        os.kill(pid, signal.SIGCONT)

    assert (caught.value.state, caught.value.response) == ("unknown", None)
    assert client.add(1) == 2
    assert client.same(large) == large
    assert client._easycluster.session._pending == {}


# Callbacks.


def test_callbacks(client: Any) -> None:
    """Callbacks are called with the response, in order, when it is read, and at once when it has been."""
    seen: list[Any] = []
    response = client.add(1, nonblocking=True)
    for name in "ab":
        response.add_done_callback(lambda done, name=name: seen.append((name, done.result())))
    early = list(seen)
    response.wait()
    response.add_done_callback(lambda done: seen.append(("c", done)))

    assert early == []
    assert seen == [("a", 2), ("b", 2), ("c", response)]


def test_callback_that_raises(spawn: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """What a callback raises is printed with its stack trace, and costs nothing else."""
    seen: list[Any] = []

    def fail(response: Any) -> None:
        raise KeyError("of the callback")

    response = spawn().add(1, nonblocking=True)
    response.add_done_callback(fail)
    response.add_done_callback(seen.append)

    assert response.result() == 2
    assert seen == [response]
    printed = capsys.readouterr().err
    assert "Exception in a completion function of add on local:" in printed
    assert "in fail" in printed
    assert "KeyError: 'of the callback'" in printed


def test_callback_of_a_lost_connection(spawn: Any, tasks: Tasks) -> None:
    """Callbacks are called when the connection ends, too."""
    seen: list[Any] = []
    client = spawn()
    response = tasks.start(client, "never")
    response.add_done_callback(lambda done: seen.append(type(done.exception())))
    client.close()

    assert seen == [ConnectionLost]


def test_callback_that_is_none(spawn: Any) -> None:
    """What cannot be called is refused."""
    response = spawn().add(1, nonblocking=True)

    with pytest.raises(TypeError, match="a callback must be a function"):
        response.add_done_callback("print")
    assert response.result() == 2


# The functions of concurrent.futures.


def test_standard_functions_and_plain_clients(spawn: Any) -> None:
    """Responses of a `Client`, for which nobody would read, are refused with the name of what to use."""
    response = spawn().add(1, nonblocking=True)

    with pytest.raises(TypeError, match="easycluster.wait"):
        concurrent.futures.wait([response])
    assert response.result() == 2


class Reader:
    """Reads the answers of clients in a thread, as a client with a thread of its own does."""

    def __init__(self, *clients: Any) -> None:
        for client in clients:
            client._easycluster.reads_by_itself = True
        self._end = threading.Event()
        self._threads = [threading.Thread(target=self._read, args=(client,)) for client in clients]
        for thread in self._threads:
            thread.start()

    def _read(self, client: Any) -> None:
        while not self._end.is_set():
            client.read_response(False)
            self._end.wait(0.001)

    def stop(self) -> None:
        """End the threads."""
        self._end.set()
        for thread in self._threads:
            thread.join()


def test_standard_functions_are_told_once(spawn: Any) -> None:
    """An answer that is delivered again, as after an interrupt, counts once."""
    client = spawn()
    client._easycluster.reads_by_itself = True
    told: list[Any] = []
    waiter = SimpleNamespace(add_result=told.append, add_exception=lambda response: told.append("error"))
    responses = [client.add(1, nonblocking=True), client.divide(1, 0, nonblocking=True)]
    for response in responses:
        response._waiters.append(waiter)
    for response in (*responses, *responses):
        response.exception()
        response._tell_watchers()

    assert told == [responses[0], "error"]
    assert [response._state for response in responses] == ["FINISHED"] * 2


def test_standard_functions(spawn: Any, tasks: Tasks) -> None:
    """Where a thread reads, `wait` and `as_completed` of `concurrent.futures` take responses, beside others."""
    clients = [spawn(), spawn()]
    reader = Reader(*clients)
    responses = [tasks.start(client, name) for client, name in zip(clients, "ab", strict=True)]
    failing = clients[0].divide(1, 0, nonblocking=True, origexc="quiet", threadid=1)
    own: concurrent.futures.Future[str] = concurrent.futures.Future()
    first = concurrent.futures.wait([*responses, failing], PATIENCE, concurrent.futures.FIRST_EXCEPTION)
    order = concurrent.futures.as_completed([*responses, own], PATIENCE)
    seen = []
    for name, future in zip("ba", reversed(responses), strict=True):
        tasks.finish(name)
        seen.append(next(order) is future)
    own.set_result("own")
    seen.append(next(order) is own)
    rest = concurrent.futures.wait([*responses, failing, own], PATIENCE)
    reader.stop()

    assert (first.done, first.not_done) == ({failing}, set(responses))
    assert seen == [True] * 3
    assert rest.not_done == set()
