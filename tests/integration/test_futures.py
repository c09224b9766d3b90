"""Responses as futures: the methods of `concurrent.futures.Future`, and callbacks."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest

import easycluster
from easycluster import ConnectionLost, OutcomeUnknown, RemoteException
from helpers.remote_tasks import Tasks
from helpers.waiting import wait_until

TLS_TOO = True

pytestmark = pytest.mark.usefixtures("task_definitions")


# What a future can be asked.


def test_result(client: Any, tasks: Tasks) -> None:
    """`result` waits and returns the value; a response runs until then, and cannot be cancelled afterwards."""
    response = tasks.start(client, "value")
    before = response.running(), response.done(), response.cancelled()
    tasks.finish("value")

    assert response.result() == "value"
    assert before == (True, False, False)
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

    assert seen == [OutcomeUnknown]


def test_callback_that_is_none(spawn: Any) -> None:
    """What cannot be called is refused."""
    response = spawn().add(1, nonblocking=True)

    with pytest.raises(TypeError, match="a callback must be a function"):
        response.add_done_callback("print")
    assert response.result() == 2
