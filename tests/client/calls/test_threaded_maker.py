"""The calls of a ThreadedClient: each local thread has a server thread of its own, and a background thread reads."""

from __future__ import annotations

import errno
import gc
import threading
from collections.abc import Iterator
from threading import get_ident
from typing import Any

import pytest

import easycluster
from easycluster_client._calls.response import NonblockingResponse
from easycluster_client._calls.threaded_maker import FIRST_THREAD, ThreadedCallMaker
from easycluster_protocol.errors import CompletionError, ConnectionLost
from helpers.hand_made import HandMadeServer
from helpers.hand_made_client import HandMadeClient
from helpers.hand_made_threaded import StepWatch, ThreadedHandMadeServer, leave_half_done
from helpers.other_thread import OtherThread


@pytest.fixture
def watch() -> StepWatch:
    """The watch on which the background thread sleeps."""
    return StepWatch()


@pytest.fixture
def threaded_server(watch: StepWatch) -> Iterator[ThreadedHandMadeServer]:
    """The other end of the session."""
    server = ThreadedHandMadeServer(watch)
    yield server
    watch.trouble.clear()
    server.close()


@pytest.fixture
def client(threaded_server: ThreadedHandMadeServer, watch: StepWatch) -> Iterator[HandMadeClient]:
    """A client whose background thread sleeps."""
    before = set(threading.enumerate())
    client = HandMadeClient(threaded_server, new_maker=ThreadedCallMaker)
    (background,) = set(threading.enumerate()) - before
    watch.asleep()
    watch.take_events()
    yield client
    threaded_server.session.is_closed = True
    watch.wake_up()
    background.join()


def threads(client: HandMadeClient, count: int) -> list[int]:
    """Return the server threads of the first calls."""
    return [message.thread for message in client.server.receive(count)[:count]]


def call(client: HandMadeClient, **options: Any) -> Any:
    """Make a call that does not wait."""
    return client.calls.raw_call("f", (), {}, {"nonblocking": True, **options})


# Server threads.


def test_server_threads(client: HandMadeClient, other_thread: OtherThread) -> None:
    """The main thread has the server's main thread, every other one a thread of its own, for all of its calls."""
    third = OtherThread()
    call(client)
    for thread in (other_thread, third, other_thread):
        thread.run(call, client)
    third.close()

    assert threads(client, 4) == [0, FIRST_THREAD, FIRST_THREAD + 1, FIRST_THREAD]
    assert FIRST_THREAD == 2**32  # far from the numbers that scripts give


def test_server_threads_of_two_clients(client: HandMadeClient, other_thread: OtherThread) -> None:
    """Clients number their threads each for itself."""
    other = ThreadedCallMaker(client, "remote_code")

    assert other_thread.run(lambda: client.calls.default_thread) == FIRST_THREAD
    assert other_thread.run(lambda: other.default_thread) == FIRST_THREAD


def test_thread_of_a_call(client: HandMadeClient, other_thread: OtherThread) -> None:
    """A thread that a call names goes before that of the local thread, also the main thread."""
    other_thread.run(lambda: call(client, threadid=5))
    other_thread.run(lambda: call(client, threadid=0))

    assert threads(client, 2) == [5, 0]


def test_default_thread(client: HandMadeClient, other_thread: OtherThread) -> None:
    """A default thread is that of all local threads; 0 stands for each local thread's own."""
    client.calls.default_thread = 5
    call(client)
    other_thread.run(call, client)
    client.calls.default_thread = 0
    other_thread.run(call, client)

    assert threads(client, 3) == [5, 5, FIRST_THREAD]


def test_end_of_a_local_thread(client: HandMadeClient, watch: StepWatch) -> None:
    """When a local thread ends its server thread is noted, and the background thread is woken; the main thread's never
    is."""
    other = OtherThread()
    other.run(call, client)
    call(client)
    watch.take_events()
    other.close()
    gc.collect()

    calls: Any = client.calls
    assert list(calls.ended.numbers) == [FIRST_THREAD]
    assert watch.take_events() == ["wake"]


# Connections.


def test_client_that_is_not_connected() -> None:
    """A client that is not connected says so."""
    calls = HandMadeClient(None, new_maker=ThreadedCallMaker).calls
    with pytest.raises(ConnectionLost, match=r"^the client is not connected: call connect\(\) first$"):
        calls.call("f", (), {})


def test_session_of_another_kind(client: HandMadeClient) -> None:
    """Only a session with a background thread will do."""
    server = HandMadeServer()
    with pytest.raises(AssertionError):
        client.calls.open(server.session)
    server.close()


def test_new_connection(
    client: HandMadeClient, threaded_server: ThreadedHandMadeServer, watch: StepWatch
) -> None:
    """A new connection has a background thread, which is woken for threads that end."""
    calls: Any = client.calls

    assert calls.get_session() is threaded_server.session
    assert threaded_server.session.references.maker is calls
    assert calls.ended.watch is watch
    assert calls.reads_by_itself is True


def test_new_connection_is_prepared(client: HandMadeClient, other_thread: OtherThread) -> None:
    """Definitions of a new connection run in the server's main thread, whatever thread connects."""
    easycluster.define_common("x = 1")
    client.answer(1, None)
    other_thread.run(client.calls.prepare)
    other_thread.run(call, client)

    assert threads(client, 2) == [0, FIRST_THREAD]


def test_new_connection_that_cannot_be_prepared(client: HandMadeClient, other_thread: OtherThread) -> None:
    """When definitions fail the thread has its own server thread again."""
    easycluster.define_common("x = 1")
    client.fail(1, ValueError("in a definition"))
    with pytest.raises(ValueError, match="in a definition"):
        other_thread.run(client.calls.prepare)

    assert other_thread.run(lambda: client.calls.default_thread) == FIRST_THREAD


# Waiting.


def test_call_that_waits(client: HandMadeClient, watch: StepWatch) -> None:
    """A caller that waits reads for itself, and the watch is armed by that."""
    client.answer(1, "value")

    assert client.calls.call("f", (), {"key": 1}) == "value"
    assert watch.take_events() == ["disarm", "disarm", "arm"]


@pytest.mark.parametrize(
    "options", [{"nonblocking": True}, {"oncomplete": print}, {"onerror": print}], ids=repr
)
def test_call_that_does_not_wait(client: HandMadeClient, watch: StepWatch, options: dict[str, Any]) -> None:
    """A call whose caller does not wait arms the watch, so that the background thread reads its answer."""
    response = client.calls.raw_call("f", (), {}, options)

    assert isinstance(response, NonblockingResponse)
    assert response.call_label == "f"
    assert watch.take_events() == ["disarm", "arm"]


def test_call_with_options_that_waits(client: HandMadeClient, watch: StepWatch) -> None:
    """A call with other options waits for its value."""
    client.answer(1, "value")

    assert client.calls.raw_call("f", (), {}, {"threadid": 5, "nonblocking": False}) == "value"
    assert watch.take_events() == ["disarm", "disarm", "arm"]


def test_call_on_a_certain_connection(client: HandMadeClient) -> None:
    """A call of a proxy goes to the proxy's connection."""
    other = ThreadedHandMadeServer(StepWatch())
    response = client.calls.operation("eval", ("1",), {"nonblocking": True}, other.session)
    other.receive(1)
    other.close()

    assert response.call_session is other.session


def test_background_thread_may_not_wait(
    client: HandMadeClient, threaded_server: ThreadedHandMadeServer
) -> None:
    """In a completion function a call that waits is refused before anything is sent; one that does not wait is made."""
    threaded_server.session.background = get_ident()
    for options in ({}, {"threadid": 5}):
        with pytest.raises(CompletionError):
            client.calls.raw_call("f", (), {}, options)
    call(client)

    assert threaded_server.session.outstanding == 1


# The watch after an error.


def test_watch_after_an_error(client: HandMadeClient, watch: StepWatch) -> None:
    """When a call that waits raises, the background thread reads again."""
    client.fail(1, KeyError("missing"))
    with pytest.raises(KeyError):
        client.calls.call("f", (), {})

    assert watch.take_events() == ["disarm", "disarm", "arm", "arm"]


def test_watch_after_a_call_that_cannot_be_sent(client: HandMadeClient, watch: StepWatch) -> None:
    """So it does when a call could not be sent."""
    with pytest.raises(TypeError, match="threadid must be"):
        call(client, threadid="one")

    assert watch.take_events() == ["arm"]


def test_watch_after_an_interrupt(
    client: HandMadeClient, threaded_server: ThreadedHandMadeServer, watch: StepWatch
) -> None:
    """When a reader was interrupted the background thread finishes at once what it has left."""
    leave_half_done(threaded_server)
    with pytest.raises(TypeError, match="threadid must be"):
        call(client, threadid="one")

    assert watch.take_events() == ["rouse"]


def test_watch_after_the_end(
    client: HandMadeClient, threaded_server: ThreadedHandMadeServer, watch: StepWatch
) -> None:
    """Where the descriptor was closed that is no error of its own; any other error of the watch is raised."""
    watch.trouble["arm"] = OSError(errno.EIO, "Input/output error")
    with pytest.raises(OSError, match="Input/output error"):
        call(client, threadid="one")
    watch.trouble["arm"] = OSError(errno.EBADF, "Bad file descriptor")
    threaded_server.session.close("closed")
    with pytest.raises(ConnectionLost, match="^closed$"):
        call(client)


# Completion functions.


def test_completion_functions_are_left_alone(client: HandMadeClient) -> None:
    """Completion functions are up to the background thread."""
    session: Any = client.server.session
    none = client.calls.run_completions(session)
    session.arrived.append(call(client))

    assert (none, client.calls.run_completions(session, 5, even_if_nested=True)) == (0, -1)
    assert len(session.arrived) == 1
    session.arrived.clear()


def test_answers_are_read_without_waiting(client: HandMadeClient, watch: StepWatch) -> None:
    """A response is answered by a step of the background thread."""
    response = call(client)
    client.answer(1, "value")
    watch.wake_up(reported=True)
    watch.asleep()

    assert response.call_is_answered
    assert response.wait() == "value"
