"""Cancelling calls: what the host is told, and what a response says of the end of its call."""

from __future__ import annotations

import asyncio
import concurrent.futures
import pickle
import sys
from typing import Any

import pytest

from easycluster_client._calls.cancelling import cancel_interrupted
from easycluster_protocol._wire import messages as m
from easycluster_protocol._wire.messages import Message
from easycluster_protocol.errors import CallCancelled, CallTimeout, ConnectionLost
from helpers.checkpoints import places, strike
from helpers.client_states import in_the_middle_of_reading
from helpers.hand_made import HandMadeServer
from helpers.hand_made_client import HandMadeClient, failure_message, value_message


@pytest.fixture
def client(server: HandMadeServer) -> HandMadeClient:
    """A client whose server cancels calls, by hand."""
    server.session.way_to_end = "reconnect()"
    return HandMadeClient(server)


def cancelled(step: str) -> CallCancelled:
    """What a host sends for a call that was ended by this step."""
    error = CallCancelled("the call was cancelled")
    error.cancelled_by = step
    return error


def kinds(client: HandMadeClient, count: int) -> list[tuple[int, int]]:
    """The kinds and numbers of the first messages that were sent."""
    return [(each.kind, each.request) for each in client.server.receive(count)]


def start_cancelling(client: HandMadeClient, answer: Message | None, **options: Any) -> Any:
    """Make a call, tell the host to cancel it, and let this be the answer; return the response."""
    response = client.request(**options)
    assert response.cancel(grace=0) is False
    if answer is not None:
        answer.request = response.request_id
        client.server.send(answer)
        client.server.session.receive_available()
    return response


@pytest.mark.parametrize("step", ["not begun", "signal", "exception"])
def test_cancelled_call(client: HandMadeClient, step: str) -> None:
    """The error names call and host, is one of futures, and nothing is printed."""
    response = start_cancelling(client, failure_message(cancelled(step)))

    assert kinds(client, 2) == [(m.CALL, 1), (m.CANCEL, 1)]
    assert (response.cancelled_by, response.cancelled(), response.cancel()) == (step, True, True)
    with pytest.raises(CallCancelled, match=r"^f on the server was cancelled( before it began)?$") as caught:
        response.wait()
    assert isinstance(caught.value, concurrent.futures.CancelledError)
    assert caught.value.cancelled_by == step
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (type(copy), copy.args, copy.cancelled_by) == (CallCancelled, caught.value.args, step)
    assert client.reported == []


@pytest.mark.parametrize("answer", [value_message(5), failure_message(ValueError("no"))])
def test_call_that_ends_by_itself(client: HandMadeClient, answer: Message) -> None:
    """A call that ignores it gives its value or its error."""
    response = start_cancelling(client, answer, origexc="quiet")

    assert (response.cancelled_by, response.cancelled(), response.cancel()) == (
        "returned anyway",
        False,
        False,
    )
    assert isinstance(response.exception(), ValueError) or response.result() == 5


def test_call_that_is_over(client: HandMadeClient) -> None:
    """It is not cancelled, and the host is told nothing."""
    response = client.answered(value_message(5))

    assert response.cancel() is False
    assert response.cancelled_by is None
    assert response.wait() == 5


def test_call_that_goes_on(client: HandMadeClient) -> None:
    """Until the call has ended, there is nothing to say about its end."""
    response = start_cancelling(client, None)

    assert response.cancel(grace=0.01) is False
    assert (response.cancelled_by, response.done()) == (None, False)


def test_error_of_another_host(client: HandMadeClient) -> None:
    """A CallCancelled of a call that was not cancelled is the error of its function."""
    error = client.answered(failure_message(cancelled("signal")), origexc="quiet").exception()

    assert type(error) is CallCancelled


@pytest.mark.parametrize("grace", [None, "1", -1])
def test_grace_that_is_no_number_of_seconds(client: HandMadeClient, grace: Any) -> None:
    """The error says what it should be."""
    with pytest.raises((TypeError, ValueError), match="number of seconds"):
        client.request().cancel(grace=grace)


def test_server_that_cancels_nothing(client: HandMadeClient) -> None:
    """A server that is too old is told nothing, and the call goes on."""
    client.server.session.can_cancel = False
    response = client.request()

    assert response.cancel() is False
    assert (response.cancelled_by, response.done()) == (None, False)
    error = KeyboardInterrupt()
    cancel_interrupted(error, (response,))
    if sys.version_info >= (3, 11):
        assert "the call goes on there" in error.__notes__[0]
    assert kinds(client, 1) == [(m.CALL, 1)]


def test_kill(client: HandMadeClient) -> None:
    """A call that does not end is ended with its connection; other calls are lost with it."""
    response, other = client.request(), client.request()

    assert response.cancel(grace=0, kill=True)
    assert (response.cancelled_by, other.cancelled_by) == ("process ended", None)
    for each in response, other:
        with pytest.raises(ConnectionLost, match="was ended, because f was cancelled with kill=True"):
            each.wait()


def test_cancelling_inside_of_reading(client: HandMadeClient) -> None:
    """A signal handler that has interrupted the reading tells the host, and does not wait."""
    response = client.request()
    with in_the_middle_of_reading(client.server.session.turn):
        assert response.cancel() is False

    assert kinds(client, 2) == [(m.CALL, 1), (m.CANCEL, 1)]


def test_lost_connection(client: HandMadeClient) -> None:
    """The loss of the connection is the end of the call, and no cancelling."""
    response = start_cancelling(client, None)
    client.server.socket.close()

    assert response.cancel() is False
    assert response.cancelled_by is None
    with pytest.raises(ConnectionLost):
        response.wait()


def test_limit_that_is_kept(client: HandMadeClient) -> None:
    """A call that was cancelled at the end of its time has ended, and the error says so."""
    response = start_cancelling(client, failure_message(cancelled("signal")), timeout=0, cancel=True)
    with pytest.raises(CallTimeout, match="the call was cancelled there") as caught:
        response.call_check_time(0)

    assert caught.value.state == "cancelled"


def test_limit_that_is_ignored(client: HandMadeClient) -> None:
    """The error says that the call goes on although it was told to end."""
    response = start_cancelling(client, None, timeout=0, cancel=True)
    with pytest.raises(CallTimeout, match="the call was sent, was told to end, and goes on there"):
        response.call_check_time(0)


def test_limit_of_a_call_that_ends_by_itself(client: HandMadeClient) -> None:
    """Its value is not lost."""
    response = start_cancelling(client, value_message(5), timeout=0, cancel=True)
    response.call_check_time(0)

    assert response.wait() == 5


def test_error_that_is_no_interrupt(client: HandMadeClient) -> None:
    """Calls go on after errors that signal handlers do not raise, and where there is no host to be told yet."""
    response = client.request()
    cancel_interrupted(CallTimeout(), (response,))
    client.server.session.way_to_end = ""
    cancel_interrupted(KeyboardInterrupt(), (response,))
    cancel_interrupted(KeyboardInterrupt(), ())

    assert kinds(client, 1) == [(m.CALL, 1)]


@pytest.mark.parametrize("times", [1, 2])
def test_interrupt_at_each_place(client: HandMadeClient, times: int) -> None:
    """Wherever signal handlers raise in a blocking call, the next one works."""

    def answer_next(value: str) -> None:
        client.answer(client.request().request_id + 1, value)

    def once(at: int) -> bool:
        answer_next("first")
        struck = strike(lambda: client.raw_call("f", ()), at, times).struck
        answer_next("second")
        assert client.raw_call("f", ()) == "second"
        return bool(struck)

    assert places(once) > 20


def test_cancelled_task(client: HandMadeClient) -> None:
    """A task that is cancelled while it awaits a response cancels the call; one behind a shield does not."""

    async def run(is_shielded: bool) -> None:
        response = client.request()

        async def wait() -> Any:
            return await response

        inner = asyncio.ensure_future(wait())
        task = asyncio.shield(inner) if is_shielded else inner
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        if is_shielded:
            client.answer(response.request_id, 5)
            assert await inner == 5

    asyncio.run(run(True))
    asyncio.run(run(False))

    assert kinds(client, 3) == [(m.CALL, 1), (m.CALL, 2), (m.CANCEL, 2)]


def test_awaited_limit(client: HandMadeClient) -> None:
    """At the end of the time of an awaited call the host is told, and the loop waits for the end."""

    async def run() -> None:
        response = client.request(timeout=0.01, cancel=True)
        told = response.call_tell_to_end

        def tell() -> bool:
            found = told()
            client.fail(1, cancelled("signal"))
            return found

        response.call_tell_to_end = tell  # type: ignore[method-assign]
        with pytest.raises(CallTimeout, match="the call was cancelled there"):
            await response

    asyncio.run(run())
