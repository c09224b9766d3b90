"""Signal handlers that raise, in the master and in the worker: nothing is lost, nothing hangs.

First every place in our code where Python may run a handler is tried, one after the other; then handlers
raise at random, in thousands of calls.
"""

from __future__ import annotations

import itertools
import os
import queue
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import easycluster
from easycluster import ThreadedClient, define_common
from easycluster_client._session import read_turn
from helpers.checkpoints import Outcome, places, strike
from helpers.masters import Master, way_to_server
from helpers.pipes import Pipe
from helpers.waiting import PATIENCE, wait_until

THREADED_TOO = True
TLS_TOO = True
pytestmark = pytest.mark.untraced

REMOTE = '''
import os, signal, threading

def add(a, b):
    return a + b

def echo(value):
    return value

def blob(size):
    return bytes(size)

def wait_for(path):
    """Wait until somebody writes a letter to the pipe, and return it."""
    with open(path, "rb", 0) as file:
        return file.read(1).decode()
'''


@pytest.fixture(autouse=True)
def remote() -> None:
    """The functions above are defined on clients that are made from now on."""
    define_common(REMOTE)


def at_every_place(
    action: Callable[[int], Any], check: Callable[[int, Outcome[Any]], None], times: int
) -> int:
    """Strike ``action`` at every place, and ``check`` each time what is left of it."""

    def once(at: int) -> bool:
        outcome = strike(lambda: action(at), at, times)
        check(at, outcome)
        return outcome.struck > 0

    return places(once)


TIMES = pytest.mark.parametrize("times", [1, 2, 3])


# Every place, in the master.


@TIMES
def test_call(client: Any, times: int) -> None:
    """A call that is interrupted anywhere is abandoned, and the next one gets its own answer."""

    def check(at: int, outcome: Outcome[int]) -> None:
        assert outcome.value in (None, at + 1), outcome
        assert client.add(at, 2) == at + 2, outcome

    # A plain client has some 54; fewer are left where the background thread has read the answer before.
    assert at_every_place(lambda at: client.add(at, 1), check, times) > 40


@pytest.mark.parametrize("transport_name", ["local", "tcp", "tls"])
def test_large_call(request: pytest.FixtureRequest, transport_name: str) -> None:
    """The same with an argument and a result that take many frames and receptions."""
    value = [os.urandom(300_000), b"", np.frombuffer(os.urandom(200_000), np.uint8)]
    if transport_name == "local":
        client = easycluster.server.spawn_local()
    else:
        server, key = request.getfixturevalue(f"{transport_name}_server"), request.getfixturevalue("key")
        client = easycluster.Client(key, "127.0.0.1", server.port)

    def check(at: int, outcome: Outcome[Any]) -> None:
        if outcome.value is not None:
            assert outcome.value[:2] == value[:2], outcome
            assert (outcome.value[2] == value[2]).all(), outcome
        assert client.add(at, 2) == at + 2, outcome

    with client:
        assert at_every_place(lambda at: client.echo(value), check, 1) > 100


@TIMES
def test_answers_that_arrived_together(client: Any, times: int) -> None:
    """A wait that is interrupted can be repeated, and no other answer is lost that came with this one."""
    responses: list[Any] = []

    def act(at: int) -> list[int]:
        return [response.wait() for response in responses]

    def check(at: int, outcome: Outcome[list[int]]) -> None:
        assert outcome.value in (None, expected(at)), outcome
        assert act(at) == expected(at), outcome
        prepare(at + 1)

    def expected(at: int) -> list[int]:
        return [at + number for number in range(3)]

    def prepare(at: int) -> None:
        responses[:] = [client.add(at, number, nonblocking=True) for number in range(3)]
        client.add(0, 0, threadid=1)  # by then the answers have arrived, and are read with this one's

    prepare(1)
    assert at_every_place(act, check, times) > 10


@TIMES
def test_completion(client: Any, times: int) -> None:
    """A completion function is called at most once, and exactly once unless it was interrupted itself."""
    if isinstance(client, ThreadedClient):
        pytest.skip("its background thread calls them, where no signal handler runs")
    called: list[int] = []
    sent: list[Any] = []

    def act(at: int) -> None:
        sent.append(client.add(at, 1, oncomplete=called.append))
        while not called:
            client.read_response()

    def check(at: int, outcome: Outcome[None]) -> None:
        while sent and not sent[0].have_response:
            client.read_response()
        client.add(0, 0)
        assert called in ([], [at + 1]), outcome
        if sent and outcome.where.partition(",")[0] not in _COMPLETING:
            assert called, outcome
        called.clear()
        sent.clear()

    assert at_every_place(act, check, times) > 50


#: Where the completion function counts as begun.
_COMPLETING = (
    "run_completions",
    "call_complete",
    "_complete",
    "_resolve",
    "_resolve_result",
    "loads",
    "call",
    "_call_back",
)


@TIMES
def test_other_threads_go_on(
    client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    """A thread that waits gets its answer although the thread that reads for it is interrupted and never comes back."""
    monkeypatch.setattr(read_turn, "_FIRST_CHECK", 0.05)
    session = client._easycluster_calls.session

    def act(at: int) -> str:
        # This thread reads for the other one, which then lets its call end.
        answer: str = client.wait_for(str(tmp_path / f"first {at}"))
        return answer

    def wait_second(at: int, over: threading.Event, answers: queue.SimpleQueue[str]) -> None:
        response = client.wait_for(str(tmp_path / f"second {at}"), threadid=1, nonblocking=True)
        wait_until(lambda: session.turn.reading.locked() or over.is_set())
        answers.put(response.wait())

    def end_first(at: int, over: threading.Event) -> None:
        wait_until(lambda: session.turn.gates or over.is_set())
        pipes[at][0].write("a")

    def once(at: int) -> bool:
        pipes[at] = [Pipe(tmp_path / f"{name} {at}") for name in ("first", "second")]
        over = threading.Event()
        answers: queue.SimpleQueue[str] = queue.SimpleQueue()
        threads = [
            threading.Thread(target=wait_second, args=(at, over, answers)),
            threading.Thread(target=end_first, args=(at, over)),
        ]
        for thread in threads:
            thread.start()
        outcome = strike(lambda: act(at), at, times)
        over.set()
        threads[1].join()
        pipes[at][1].write("b")
        assert answers.get(timeout=PATIENCE) == "b", outcome
        threads[0].join()
        assert outcome.value in (None, "a"), outcome
        assert client.add(at, 2) == at + 2, outcome
        for pipe in pipes.pop(at):
            pipe.close()
        return outcome.struck > 0

    pipes: dict[int, list[Pipe]] = {}
    assert places(once) > 50


@TIMES
def test_thread_that_waits_for_its_turn(client: Any, tmp_path: Path, times: int) -> None:
    """A thread that is interrupted while another reads for it is out of the way of the others."""
    pipe = Pipe(tmp_path / "pipe")
    response = client.wait_for(str(tmp_path / "pipe"), threadid=1, nonblocking=True)
    thread = threading.Thread(target=response.wait)
    thread.start()
    wait_until(client._easycluster_calls.session.turn.reading.locked)

    def check(at: int, outcome: Outcome[int]) -> None:
        assert outcome.value in (None, at + 1), outcome
        assert client.add(at, 2) == at + 2, outcome

    try:
        count = at_every_place(lambda at: client.add(at, 1), check, times)
    finally:
        pipe.write("a")
        thread.join()
        pipe.close()

    assert count > 20


def test_close() -> None:
    """A close that is interrupted can be repeated, and in the end the worker has gone."""

    def act(at: int) -> bool:
        clients[0].close()
        return True

    def check(at: int, outcome: Outcome[bool]) -> None:
        clients.pop().close()
        clients.append(easycluster.server.spawn_local())

    clients = [easycluster.server.spawn_local()]
    assert at_every_place(act, check, 1) > 20
    clients.pop().close()


# Storms.

#: A master that makes calls while a handler raises at random, and another thread that makes calls meanwhile.
STORM = """
import faulthandler, random
import numpy as np

faulthandler.dump_traceback_later(90, exit=True)

class Late(TimeoutError):
    pass

armed = False

def on_signal(number, frame):
    # Only once in each call: what follows belongs to the test.
    global armed
    if number == signal.SIGALRM and not over.is_set():
        signal.setitimer(signal.ITIMER_REAL, random.uniform(*HOW["period"]))
    if armed:
        armed = False
        raise Late if number == signal.SIGALRM else KeyboardInterrupt

def is_late(error):
    while error is not None and not isinstance(error, (Late, KeyboardInterrupt)):
        error = error.__cause__
    return error is not None

def call(number):
    if HOW["size"] == 0:
        return client.add(number, 1) == number + 1
    array = np.full(HOW["size"], number % 251, np.uint8)
    return (client.echo(array) == array).all()

def call_beside():
    number = 0
    while not over.is_set():
        number += 1
        if client.add(number, 2, threadid=1) != number + 2:
            wrong.append(number)
    beside.append(number)

def storm():
    global armed
    for number in range(HOW["calls"]):
        outcome = None
        try:
            armed = True
            outcome = bool(call(number))
            armed = False
        except BaseException as error:
            if not is_late(error):
                raise
        outcomes.append(outcome)

define_common(HOW["remote"])
client = connect(easycluster.ThreadedClient if HOW.get("threaded") else Client)
client.add(0, 0)
outcomes, wrong, beside = [], [], []
over = threading.Event()
thread = threading.Thread(target=call_beside)
thread.start()
signal.signal(signal.SIGALRM, on_signal)
signal.signal(signal.SIGINT, on_signal)
say(ready=True)
if HOW["period"]:
    signal.setitimer(signal.ITIMER_REAL, 0.01)
storm()
over.set()
signal.setitimer(signal.ITIMER_REAL, 0)
thread.join()
after = [client.add(number, 3) for number in range(100)] == list(range(3, 103))
client.close()
say(right=outcomes.count(True), wrong=outcomes.count(False) + len(wrong), late=outcomes.count(None),
    beside=beside[0], after=after)
hear()
"""

#: Bytes of the arrays, number of calls, and shortest and longest time between two signals in seconds.
WEATHERS = {"small": (0, 3000, (0.0002, 0.001)), "large": (1 << 20, 200, (0.002, 0.05))}


@pytest.mark.parametrize("weather", WEATHERS)
def test_storm_in_the_master(
    request: pytest.FixtureRequest, transport: Any, tmp_path: Path, weather: str
) -> None:
    """While a handler raises again and again, each call gets its own answer or is abandoned, in this thread only."""
    size, calls, period = WEATHERS[weather]
    how = way_to_server(request, transport.name, transport.server)
    how.update(remote=REMOTE, size=size, calls=calls, period=period)
    how.update(threaded=transport.clientclass is ThreadedClient)
    with Master(how, STORM, tmp_path) as master:
        assert master.hear() == {"ready": True}
        result = master.hear()
        master.say()
        status = master.wait()

    assert (status, master.errors) == (0, "")
    assert result["late"] > 10
    assert result["right"] > 10
    assert result["beside"] > 10
    assert (result["wrong"], result["after"]) == (0, True)


@pytest.mark.parametrize("transport_name", ["local", "tcp"])
def test_storm_of_keyboard_interrupts(
    request: pytest.FixtureRequest, tmp_path: Path, transport_name: str
) -> None:
    """The same with Ctrl-C, sent by another process again and again."""
    how = way_to_server(request, transport_name)
    how.update(remote=REMOTE, size=0, calls=3000, period=None)
    with Master(how, STORM, tmp_path) as master:
        master.hear()
        results: list[dict[str, Any]] = []
        listener = threading.Thread(target=lambda: results.append(master.hear()))
        listener.start()
        while listener.is_alive():
            os.kill(master.pid, signal.SIGINT)
            listener.join(0.001)
        master.say()
        status = master.wait()

    (result,) = results
    assert (status, master.errors) == (0, "")
    assert result["late"] > 10
    assert result["right"] > 10
    assert (result["wrong"], result["after"]) == (0, True)


STORM_REMOTE = """
import random, signal

started = []

def on_alarm(number, frame):
    signal.setitimer(signal.ITIMER_REAL, random.uniform(0.0002, 0.001))
    raise TimeoutError("too late")

def begin():
    signal.signal(signal.SIGALRM, on_alarm)
    signal.setitimer(signal.ITIMER_REAL, 0.001)

def calm():
    signal.setitimer(signal.ITIMER_REAL, 0)

def mark(number, size=0):
    started.append(number)
    return number, bytes(size)

def beside(number):
    return number
"""


#: The handler may come while the result is pickled, or while an earlier exception is packed.
LATE = (TimeoutError, easycluster.EasyClusterError, RuntimeError)


@pytest.mark.parametrize("size", [0, 200_000])
def test_storm_in_the_worker(client: Any, size: int) -> None:
    """While a handler in the worker raises again and again, each call is started once and answered, also in other threads."""
    client.execblock(STORM_REMOTE)
    client.begin()
    right, late = 0, 0
    least = 1000 if size == 0 else 200
    # Most interrupts come between calls, so it is chance how many calls one comes into.
    for number in itertools.count():
        if number >= least and right and late:
            break
        other = client.beside(number, threadid=1, nonblocking=True)
        try:
            assert client.mark(number, size, origexc="quiet") == (number, bytes(size))
            right += 1
        except LATE:
            late += 1
        assert other.wait() == number
    while True:
        try:
            client.calm(origexc="quiet")
            break
        except LATE:
            assert client.connected
    started = client.eval("started")

    assert started == sorted(set(started))
    assert [client.beside(number) for number in range(100)] == list(range(100))
