"""Calls that are cancelled on real hosts: waiting ones, sleeping ones and such as compute, in each thread."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable
from typing import Any

import pytest

import easycluster
from easycluster import SINGLE, CallTimeout, ConnectionLost, call_multi, define_common
from easycluster_client._calls import cancelling
from helpers.waiting import PATIENCE, wait_until

THREADED_TOO = True
UPGRADED_TOO = True

pytestmark = pytest.mark.untraced

REMOTE = """
import os, queue, socket, subprocess, sys, threading, time

begun = []
left = []

def begin(number):
    begun.append(number)

def has_begun(number):
    return number in begun

def sleep(number):
    begin(number)
    try:
        time.sleep(3600)
    finally:
        left.append(number)

def receive(number):
    first, second = socket.socketpair()
    begin(number)
    first.recv(1)

def lock(number):
    begin(number)
    taken = threading.Lock()
    taken.acquire()
    taken.acquire()

def wait_for_item(number):
    begin(number)
    queue.Queue().get()

def run_program(number):
    begin(number)
    subprocess.call([sys.executable, "-c", "import time; time.sleep(3600)"])

def compute(number):
    begin(number)
    count = 0
    while True:
        count += 1

async def coroutine(number):
    import asyncio
    begin(number)
    try:
        await asyncio.sleep(3600)
    finally:
        left.append(number)

def ignore(number):
    begin(number)
    try:
        time.sleep(3600)
    except BaseException:
        return "ignored"

def refuse(number):
    begin(number)
    while True:
        try:
            time.sleep(3600)
        except BaseException:
            pass

def generate(number):
    yield 1
    sleep(number)
"""

MAIN = ["sleep", "receive", "lock", "wait_for_item", "run_program", "compute", "coroutine"]


@pytest.fixture(autouse=True)
def remote(monkeypatch: pytest.MonkeyPatch) -> None:
    """The functions above are defined on clients that are made from now on; a busy machine has time to end them."""
    define_common(REMOTE)
    monkeypatch.setattr(cancelling, "GRACE", PATIENCE)


def start(client: Any, name: str, number: int, **options: Any) -> Any:
    """Start a call, and wait until it is under way; return its response."""
    response = client.call(name, number, nonblocking=True, **options)
    wait_until(lambda: client.has_begun(number, threadid=9))
    return response


def test_main_thread(client: Any) -> None:
    """Whatever waits in the main thread of the host, and Python code, is ended; the next call works."""
    for number, name in enumerate(MAIN):
        response = start(client, name, number)

        assert response.cancel(grace=PATIENCE), name
        assert response.cancelled_by == "signal"
        with pytest.raises(easycluster.CallCancelled, match=f"{name} on .* was cancelled"):
            response.wait()
    assert client.left.value == [MAIN.index("sleep"), MAIN.index("coroutine")]


def test_other_threads(client: Any) -> None:
    """In another thread Python code is ended; the next call of the thread works."""
    for number, thread in enumerate([5, SINGLE]):
        response = start(client, "compute", number, threadid=thread)

        assert response.cancel(grace=PATIENCE)
        assert response.cancelled_by == "exception"
        assert client.has_begun(99, threadid=thread) is False


def test_call_that_waits(client: Any) -> None:
    """A call that waits behind another one is taken out at once, never runs, and does not harm the other one."""
    for number, thread in enumerate([0, 5]):
        running = start(client, "compute", number, threadid=thread)
        waiting = client.begin(99, nonblocking=True, threadid=thread)

        assert waiting.cancel(grace=PATIENCE)
        assert waiting.cancelled_by == "not begun"
        assert not running.done()
        assert running.cancel(grace=PATIENCE)
    assert client.begun.value == [0, 1]


def test_call_that_ignores_it(client: Any) -> None:
    """A call that catches everything gives its value."""
    response = start(client, "ignore", 1)

    assert response.cancel(grace=PATIENCE) is False
    assert (response.cancelled_by, response.wait()) == ("returned anyway", "ignored")


def test_process(client: Any) -> None:
    """With kill=True a call that goes on nevertheless is ended with its process."""
    response = start(client, "refuse", 1)

    assert response.cancel(grace=0.1) is False
    assert response.cancel(grace=0.1, kill=True)
    assert response.cancelled_by == "process ended"
    with pytest.raises(ConnectionLost):
        response.wait()


def test_limit(client: Any) -> None:
    """A call with a limit and cancel=True is ended when the time is over."""
    view = easycluster.options(client, timeout=0.2, cancel=True)

    async def wait() -> None:
        await view.sleep(1, nonblocking=True)

    actions: list[Callable[[], Any]] = [
        lambda: view.sleep(1),
        lambda: view.sleep(1, nonblocking=True).wait(),
        lambda: asyncio.run(wait()),
    ]
    for action in actions:
        with pytest.raises(CallTimeout, match="the call was cancelled there") as caught:
            action()
        assert caught.value.state == "cancelled"

    assert client.left.value == [1] * 3


def test_task(client: Any) -> None:
    """A task of asyncio that is cancelled ends the call for which it waits."""

    async def run() -> None:
        async def wait() -> None:
            await client.sleep(1, nonblocking=True)

        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(wait(), 0.2)

    asyncio.run(run())

    assert client.left.value == [1]


def interrupt(client: Any, number: int, action: Callable[[], Any], times: int = 1) -> Any:
    """Return the error of an action that Ctrl-C ends once a call has begun on the host."""

    def press() -> None:
        wait_until(lambda: client.has_begun(number, threadid=9))
        for _ in range(times):
            os.kill(os.getpid(), signal.SIGINT)
            is_over.wait(0.2)

    is_over = threading.Event()
    thread = threading.Thread(target=press)
    thread.start()
    try:
        with pytest.raises(KeyboardInterrupt) as caught:
            action()
    finally:
        is_over.set()
        thread.join()
    return caught.value


def test_ctrl_c(client: Any) -> None:
    """Ctrl-C cancels the call; the next one works."""
    actions: list[Callable[[], Any]] = [
        lambda: client.sleep(0),
        lambda: easycluster.options(client, timeout=3600).sleep(1),
        lambda: easycluster.wait([client.sleep(2, nonblocking=True)]),
        lambda: list(easycluster.as_completed([client.sleep(3, nonblocking=True)])),
        lambda: list(client.generate(4)),
    ]
    for number, action in enumerate(actions):
        error = interrupt(client, number, action)

        label = "__next__" if number == 4 else "sleep"
        assert getattr(error, "__notes__", []) in (
            [],
            [f"the waiting for {label} on {client.peername} was interrupted, and the call was cancelled"],
        )
    assert client.left.value == [0, 1, 2, 3, 4]


def test_ctrl_c_on_many_hosts(transport: Any) -> None:
    """Ctrl-C cancels the calls on all hosts."""
    with transport.connect() as first, transport.connect() as second:
        interrupt(first, 1, lambda: call_multi([first, second], "sleep", 1))

        assert first.left.value == [1]
        assert second.left.value == second.begun.value  # perhaps it had not begun


def test_second_ctrl_c(client: Any) -> None:
    """A second Ctrl-C does not wait for a call that goes on."""
    error = interrupt(client, 1, lambda: client.refuse(1), times=2)

    notes = getattr(error, "__notes__", [])
    assert notes == [] or "was interrupted twice" in notes[0]


def test_ctrl_c_leaves_responses(client: Any) -> None:
    """Ctrl-C in the waiting for a response does not cancel its call, which can be waited for again."""
    response = client.sleep(1, nonblocking=True)
    interrupt(client, 1, response.wait)

    assert not response.done()
    assert response.cancel(grace=PATIENCE)
