"""How long proxies and the objects behind them live: identity, receipts, and what gives them back."""

from __future__ import annotations

import gc
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from easycluster import Client, ThreadedClient
from easycluster_protocol.errors import DeserializationError, SerializationError
from helpers.server_objects import kept

TLS_TOO = True

pytestmark = pytest.mark.usefixtures("object_definitions")


def test_identity(client: Any) -> None:
    """The same object is the same proxy, in any container of any answer; passed back it is the object itself."""
    same = client.eval("same")

    assert client.eval("same") is same
    assert same.itself() is same
    value = client.eval("same.inner()")
    assert value["deep"][0][0] is same
    assert value["deep"][0][1]["deeper"] is same
    assert value[same] == 1
    assert client.is_same(same, client.eval("same"))
    assert client.eval("Thing(7)") is not same
    other = client.Thing(8)
    assert client.values([same, {"key": (other,)}, {same}]) == [7, 8, 7]

    def add_one(thing: Any) -> Any:
        return thing.value + 1

    assert client.call(add_one, same) == 8
    assert same.raw_call_method("itself") is same


def test_keys_that_are_hashed_on_the_server(local: Any) -> None:
    """Proxies whose hash the server computes may be keys: unpickling them calls it, in the middle of the answer."""
    one, two, three = local.eval("[{Keyed(1): 'a'}, {Keyed(2): {Keyed(3)}}, Thing()]")

    assert list(one.values()) == ["a"]
    ((key, inner),) = two.items()
    assert hash(key) == 2
    assert key == local.Keyed(2)
    assert hash(next(iter(inner))) == 3
    assert three.value == 0
    del one, two, three, key, inner
    kept(local, 0)


def test_released_when_the_last_reference_goes(client: Any) -> None:
    """The server lets an object go when its proxy is gone, and keeps those whose proxies are there."""
    things = client.things(50)
    kept(client, 50)
    del things[10:]
    kept(client, 10)
    assert [thing.value for thing in things] == list(range(10))
    method = things[3].name
    del things
    kept(client, 1)
    assert method() == "Thing"
    del method
    kept(client, 0)


def test_answers_that_nobody_reads(client: Any) -> None:
    """Responses that are dropped, before or after their answers came, cost the server nothing in the end."""
    same = client.eval("same")
    responses = [client.things(20, nonblocking=True) for _ in range(20)]
    del responses[5:]
    responses += [client.eval("same", nonblocking=True) for _ in range(20)]
    responses[-1].wait()
    del responses
    kept(client, 1)

    assert same.value == 7


def test_failures_give_back(client: Any) -> None:
    """Results that fail to be pickled half way, or to be unpickled, are errors that leave nothing behind."""
    with pytest.raises(
        SerializationError, match="the result of half_way cannot be sent: ValueError: half way"
    ):
        client.half_way(origexc="quiet")
    with pytest.raises(DeserializationError, match="the result of not_there"):
        client.not_there()
    kept(client, 0)
    same = client.eval("same")
    for function in (client.half_way, client.not_there):
        with pytest.raises((SerializationError, DeserializationError)):
            function(origexc="quiet")
    kept(client, 1)

    assert client.is_same(same)


def test_arguments_that_are_dropped_at_once(local: Any) -> None:
    """A proxy may be dropped while a call that it was passed to, or made on, has not begun yet."""
    local.execblock("import threading\ngo_on = threading.Event()")
    first, second = local.Thing(1), local.Thing(2)
    waiting = local.eval("go_on.wait(30)", nonblocking=True)
    responses = [local.is_same([first], nonblocking=True), second.itself(nonblocking=True)]
    del first, second
    gc.collect()
    local.eval("None", threadid=1)  # takes along what is given back
    local.eval("go_on.set()", threadid=1)
    waiting.wait()

    assert responses[0].wait() is False
    assert responses[1].wait().value == 2


class Collects:
    """In a circle with what it holds; its finaliser looks for more of its kind."""

    def __init__(self, held: Any) -> None:
        self.held = held
        self.circle = self

    def __del__(self) -> None:
        gc.collect(0)


@pytest.fixture(params=[Client, ThreadedClient])
def crowded(request: pytest.FixtureRequest, spawn: Callable[..., Any]) -> Any:
    """A client that many threads use."""
    return spawn(request.param)


@pytest.fixture
def dropping_handler(crowded: Any) -> Iterator[list[Any]]:
    """A signal handler that runs again and again, and drops proxies that the main thread has made; gives these."""
    held = crowded.things(300)

    def drop(*_: object) -> None:
        if held:
            held.pop()
        gc.collect(0)

    before = signal.signal(signal.SIGALRM, drop)
    signal.setitimer(signal.ITIMER_REAL, 0.002, 0.002)
    yield held
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def test_threads_that_make_and_drop(crowded: Any, dropping_handler: list[Any]) -> None:
    """64 threads make, use and drop proxies, with collections in finalisers and signal handlers: no deadlock, and
    nothing is left."""
    errors: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for turn in range(6):
                things = crowded.things(4, threadid=number % 8)
                assert things[turn % 4].value == turn % 4
                assert crowded.is_same(crowded.eval("same"))
                Collects(things)
                crowded.things(2, nonblocking=True)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    dropping_handler.clear()

    assert errors == []
    kept(crowded, 0)


def test_ten_thousand_crossings(local: Any) -> None:
    """Answers that name the same objects while their proxies come and go: each proxy is of an object that is there."""
    responses = [local.eval("[same, Thing(3)]", nonblocking=True) for _ in range(100)]
    for turn in range(5000):
        same, thing = responses.pop(0).wait()
        if turn % 100 == 0:
            assert (same.value, thing.value) == (7, 3)
        del same, thing
        responses.append(local.eval("[same, Thing(3)]", nonblocking=True))
    del responses
    kept(local, 0)
