"""The end of a connection wakes whoever waits, however: by close() in any thread, or because the server has gone."""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import os
import signal
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor
from typing import Any

import pytest

import easycluster
from easycluster import CallNotSent, Client, ClientGroup, ConnectionLost, ThreadedClient
from helpers.remote_tasks import Tasks
from helpers.waiting import PATIENCE, wait_until

pytestmark = pytest.mark.usefixtures("task_definitions")

#: More than the kernel takes from a sender whose peer reads nothing.
LARGE = bytes(50_000_000)


async def awaited(response: Any) -> Any:
    """Await it."""
    return await response


def read_until_lost(client: Any) -> None:
    """Read what comes until nothing more can."""
    while True:
        client.read_response()


#: Ways to wait for a call that never ends. Each raises what the call does.
WAITS: dict[str, Callable[[Any, Any], Any]] = {
    "call": lambda client, response: client.wait_for("/nowhere", threadid=2),
    "call with a limit": lambda client, response: easycluster.options(client, timeout=600).wait_for(
        "/nowhere", threadid=3
    ),
    "call of the main thread": lambda client, response: client.wait_for("/nowhere", threadid=0),
    "wait": lambda client, response: response.wait(),
    "wait with a limit": lambda client, response: response.wait(timeout=600),
    "result": lambda client, response: response.result(),
    "exception": lambda client, response: raise_it(response.exception(600)),
    "easycluster.wait": lambda client, response: easycluster.wait([response]).done.pop().result(),
    "easycluster.as_completed": lambda client, response: next(easycluster.as_completed([response])).result(),
    "await": lambda client, response: asyncio.run(awaited(response)),
    "group": lambda client, response: (ClientGroup([client]).read_responses(), response.result()),
}

#: This one only where no other thread reads: it leaves the connection to that one.
PLAIN: dict[str, Callable[[Any, Any], Any]] = {
    "read_response": lambda client, response: read_until_lost(client),
}

THREADED: dict[str, Callable[[Any, Any], Any]] = {
    "concurrent.futures.wait": lambda client, response: (
        concurrent.futures.wait([response]).done.pop().result()
    ),
    "concurrent.futures.wait for an error": lambda client, response: (
        concurrent.futures.wait([response], return_when=FIRST_EXCEPTION).done.pop().result()
    ),
    "concurrent.futures.as_completed": lambda client, response: next(
        concurrent.futures.as_completed([response])
    ).result(),
}

KINDS = [(Client, {**WAITS, **PLAIN}), (ThreadedClient, {**WAITS, **THREADED})]


def raise_it(error: BaseException | None) -> None:
    """Raise an error that there must be."""
    assert error is not None
    raise error


def close(client: Any) -> str:
    """Close it; return what waiting calls raise then."""
    client.close("enough of this")
    return "enough of this"


def close_in_a_callback(client: Any) -> str:
    """Close it in a completion function."""
    closed = threading.Event()

    def complete(value: int) -> None:
        client.close("enough of this")
        closed.set()

    client.add(1, threadid=4, oncomplete=complete)
    assert closed.wait(PATIENCE)  # on a Client one of those who wait calls it
    return "enough of this"


def kill(client: Any) -> str:
    """Let the server go."""
    os.kill(client._easycluster_calls.session.link.agreement.peer.process, signal.SIGKILL)
    return "the connection"


ENDS = {"close": close, "close in a completion function": close_in_a_callback, "kill": kill}


def outcome(future: Future[Any]) -> tuple[Any, str]:
    """What came of it."""
    error = future.exception(PATIENCE)
    return type(error), str(error)


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize(("kind", "waits"), [(Client, WAITS), KINDS[1]], ids=["Client", "ThreadedClient"])
def test_all_who_wait(spawn: Any, tasks: Tasks, kind: Any, waits: dict[str, Any], end: str) -> None:
    """Threads that wait, in every way there is, for one call and for calls of their own, learn of the end."""
    client = spawn(kind)
    response = tasks.start(client, "never", threadid=1)
    with ThreadPoolExecutor(len(waits)) as pool:
        futures = {name: pool.submit(wait, client, response) for name, wait in waits.items()}
        wait_until(lambda: len(client._easycluster_calls.session._calls.by_number) == 4)
        text = ENDS[end](client)
        found = {name: outcome(future) for name, future in futures.items()}

    assert {name: issubclass(kind, ConnectionLost) for name, (kind, _) in found.items()} == dict.fromkeys(
        waits, True
    )
    assert all(text in message for _, message in found.values())


@pytest.mark.parametrize("end", ["close", "kill"])
@pytest.mark.parametrize(
    ("kind", "name"),
    [(kind, name) for kind, waits in KINDS for name in waits],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_one_who_waits(spawn: Any, tasks: Tasks, kind: Any, name: str, end: str) -> None:
    """So does a thread that waits alone."""
    wait = dict(KINDS)[kind][name]
    client = spawn(kind)
    session = client._easycluster_calls.session
    response = tasks.start(client, "never", threadid=1)
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(wait, client, response)
        wait_until(lambda: session.turn.reading.locked() or session.turn.gates or response._watchers)
        text = ENDS[end](client)
        found = outcome(future)

    assert issubclass(found[0], ConnectionLost)
    assert text in found[1]


@pytest.mark.parametrize("end", ["close", "kill"])
@pytest.mark.parametrize("kind", [Client, ThreadedClient])
def test_blocked_senders(spawn: Any, kind: Any, end: str) -> None:
    """Threads that cannot send, because the server takes nothing in or another thread sends, learn of it too."""
    client = spawn(kind)
    session = client._easycluster_calls.session
    process = session.link.agreement.peer.process
    os.kill(process, signal.SIGSTOP)
    try:
        with ThreadPoolExecutor(4) as pool:
            futures = [pool.submit(client.same, LARGE)]
            wait_until(lambda: session._channel.link.sender.has_unsent)
            futures += [
                pool.submit(client.same, LARGE),
                pool.submit(client.add, 1),
                pool.submit(easycluster.options(client, timeout=600).add, 1),
            ]
            wait_until(lambda: len(session._calls.by_number) == 4)
            text = ENDS[end](client)
            found = [outcome(future) for future in futures]
    finally:
        if end == "close":
            os.kill(process, signal.SIGCONT)

    assert [kind for kind, _ in found] == [CallNotSent] * 4
    assert all(text in message for _, message in found)


@pytest.mark.parametrize("kind", [Client, ThreadedClient])
def test_no_garbage(spawn: Any, kind: Any) -> None:
    """A lost connection that is closed keeps neither descriptors nor what its callers had in hand."""
    held = HeldByCaller()
    gone = weakref.ref(held)
    gc.collect()
    gc.disable()
    try:
        client = spawn(kind)
        session = weakref.ref(client._easycluster_calls.session)
        watch = (
            weakref.ref(client._easycluster_calls.session.watch) if kind is ThreadedClient else lambda: None
        )
        call_until_lost(client, held)
        client.close()
        del held
        wait_until(lambda: (gone(), watch()) == (None, None))
    finally:
        gc.enable()
    assert session() is not None  # the client has it yet, and with it the reason of the end


class HeldByCaller:
    """Something large that a script has in hand."""


def call_until_lost(client: Any, held: HeldByCaller) -> None:
    """Let the server go, and call it after that."""
    kill(client)
    with pytest.raises(ConnectionLost):
        while held is not None:
            client.add(1)
