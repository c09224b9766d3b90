"""Signal handlers that raise in the main thread, while the background thread of a ThreadedClient has work."""

from __future__ import annotations

import os
import signal
import threading
from typing import Any

import pytest

import easycluster
from easycluster import ThreadedClient
from helpers.checkpoints import Outcome, places, strike
from helpers.states import in_the_middle_of_sending
from helpers.waiting import wait_until

pytestmark = pytest.mark.untraced

REMOTE = """
def add(a, b):
    return a + b
def hang():
    __import__("threading").Event().wait()
"""


@pytest.fixture
def client(no_leaks: None) -> Any:
    """A local ThreadedClient without keep-alive, which would wake the background thread after a while."""
    easycluster.define_common(REMOTE)
    with easycluster.server.spawn_local(lambda: ThreadedClient(keep_alive_interval=None)) as client:
        yield client


@pytest.mark.parametrize("times", [1, 2, 3])
def test_background_goes_on(client: Any, times: int) -> None:
    """Wherever the main thread is interrupted in its calls, completion functions are called, once, though it makes no other call."""
    called: list[int] = []
    sent: list[Any] = []

    def act(at: int) -> int:
        sent.append(client.add(at, 1, threadid=1, oncomplete=called.append))
        value: int = client.add(at, 2)
        return value

    def once(at: int) -> bool:
        called.clear()
        sent.clear()
        outcome: Outcome[int] = strike(lambda: act(at), at, times)
        assert outcome.value in (None, at + 2), outcome
        if sent:
            wait_until(lambda: called, what=f"the completion function, {outcome}")
            assert called == [at + 1], outcome
        wait_until(
            lambda: not client._easycluster_calls.session._calls.by_number, what=f"all answers, {outcome}"
        )
        return outcome.struck > 0

    assert places(once) > 50


def test_what_was_left_to_an_interrupted_sender(no_leaks: None) -> None:
    """A question whether the server is there, left to a thread that was sending and was interrupted, is sent yet."""
    with easycluster.server.spawn_local(lambda: ThreadedClient(keep_alive_interval=0.05)) as client:
        channel = client._easycluster_calls.session._channel
        with in_the_middle_of_sending(channel):
            wait_until(lambda: channel._posted)
        wait_until(lambda: not channel._posted)


def test_interrupt_of_a_waiting_main_thread(client: Any) -> None:
    """Ctrl-C ends the waiting of the main thread at once, and its call can be waited for again."""
    response = client.hang(nonblocking=True)
    session = client._easycluster_calls.session

    def interrupt() -> None:
        wait_until(session.turn.reading.locked)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        response.wait()
    thread.join()
    done = threading.Event()
    client.add(1, 2, threadid=1, oncomplete=lambda value: done.set())

    wait_until(done.is_set)
    assert not response.have_response
    assert client.add(3, 4, threadid=1) == 7
