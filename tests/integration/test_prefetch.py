"""`options(iterator, prefetch=n)`: values of a remote iterator, fetched ahead."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from easycluster import (
    SINGLE,
    CallTimeout,
    ConnectionLost,
    ThreadedClient,
    define_common,
    options as with_options,
)
from helpers.server_objects import kept

pytestmark = pytest.mark.usefixtures("object_definitions")

THREADED_TOO = True
TLS_TOO = True

MORE = """
import os, threading

def failing(count):
    yield from generate(count)
    raise KeyError("in the middle")

def ending(count, value):
    yield from generate(count)
    return value

def whole(count):
    for number in range(count):
        yield Thing(number)

def places(count):
    for _ in range(count):
        yield threading.current_thread().name

def held(count, path):
    for number in range(count):
        while number == 2 and not os.path.exists(path):
            pass
        yield number

class Resumes(ServerObject):
    def __init__(self):
        self.number = 0
    def __next__(self):
        self.number += 1
        if self.number == 3:
            raise KeyError(self.number)
        return self.number
"""


def test_never_further_than_that(far: Any) -> None:
    """The generator runs so many values ahead of what was asked for, from the first one on, and no further."""
    numbers = with_options(far.generate(100), prefetch=3)
    assert far.eval("produced") == []
    seen = [(next(numbers), len(far.eval("produced"))) for _ in range(5)]

    assert seen == [(number, number + 4) for number in range(5)]
    assert list(numbers) == list(range(5, 100))
    assert next(numbers, "end") == "end"


@pytest.mark.parametrize("count", [0, 1, 2, 5])
@pytest.mark.parametrize("ahead", [1, 2, 30])
def test_the_end(near: Any, count: int, ahead: int) -> None:
    """However many values there are, all come in order; the value with which the generator ended is kept."""

    def outer() -> Iterator[Any]:
        ended.append((yield from with_options(near.ending(count, "value"), prefetch=ahead)))

    ended: list[Any] = []
    assert list(outer()) == list(range(count))
    assert ended == ["value"]


def test_an_exception_in_the_middle(far: Any) -> None:
    """What the generator raises comes behind all values before it, once; then it has ended."""
    numbers = with_options(far.failing(2), prefetch=5, origexc="quiet")

    assert [next(numbers), next(numbers)] == [0, 1]
    with pytest.raises(KeyError, match="in the middle"):
        next(numbers)
    assert next(numbers, "end") == "end"


def test_an_iterator_that_goes_on(near: Any) -> None:
    """An iterator of one's own that goes on after an exception does so, in its order."""
    numbers = with_options(near.Resumes(), prefetch=2, origexc="quiet")

    assert [next(numbers), next(numbers)] == [1, 2]
    with pytest.raises(KeyError):
        next(numbers)
    assert [next(numbers), next(numbers)] == [4, 5]
    assert iter(numbers) is numbers


def test_dropped_early(far: Any) -> None:
    """Whoever stops iterating drops what was fetched, objects too; the generator has gone on by that, and goes on."""
    things = far.whole(50)
    for thing in with_options(things, prefetch=4):
        if thing.value == 3:
            break
    del thing

    assert next(things).value == 8
    kept(far, 1)
    del things
    kept(far, 0)


def test_closed_early(far: Any) -> None:
    """Closing the generator by the view forgets what was fetched: it ends at once."""
    numbers = with_options(far.generate(50), prefetch=4)
    next(numbers)
    numbers.close()

    assert list(numbers) == []
    assert far.eval("produced") == [0, 1, 2, 3, 4]


def test_closed_connection(far: Any) -> None:
    """After the end of the connection the values that have come are given, then the error."""
    numbers = with_options(far.generate(50), prefetch=3)
    next(numbers)
    for response in list(numbers._easycluster_prefetcher._under_way):
        response.result()
    far.close()

    assert [next(numbers), next(numbers), next(numbers)] == [1, 2, 3]
    for _ in range(2):
        with pytest.raises(ConnectionLost, match="has ended"):
            next(numbers)


def test_a_lost_connection(near: Any) -> None:
    """When the connection is lost under way, whoever waits for a value gets that error."""
    numbers = with_options(near.eval("(__import__('os')._exit(1) for _ in 'ab')"), prefetch=3)

    with pytest.raises(ConnectionLost):
        next(numbers)
    with pytest.raises(ConnectionLost):
        next(numbers)


def test_a_limit(near: Any, tmp_path: Path) -> None:
    """Whoever waits no longer than a limit loses nothing: the next call waits for the same value again."""
    path = tmp_path / "go on"
    numbers = with_options(near.held(4, str(path)), prefetch=2, timeout=0.05)
    waiting = with_options(numbers, timeout=None)
    assert [next(numbers), next(numbers)] == [0, 1]
    with pytest.raises(CallTimeout):
        next(numbers)
    path.touch()
    near.eval("None")  # behind the values in their thread

    assert [next(numbers), next(numbers), next(numbers, "end")] == [2, 3, "end"]
    assert next(waiting, "end") == "end"


def test_threads_of_the_server(near: Any) -> None:
    """All values are fetched in the thread that was chosen."""
    assert set(with_options(near.places(9), prefetch=3, threadid=7)) == {"easycluster-7"}


def test_several_local_threads(spawn: Any) -> None:
    """Threads of a `ThreadedClient` that take turns never run the iterator in two threads of the server at once."""
    define_common(MORE)
    numbers = with_options(spawn(ThreadedClient).generate(400), prefetch=8)
    taken: list[list[int]] = [[] for _ in range(8)]

    threads = [threading.Thread(target=lambda own: own.extend(numbers), args=(own,)) for own in taken]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(number for own in taken for number in own) == list(range(400))
    assert all(own == sorted(own) for own in taken)


def count_calls(client: Any, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The labels of the calls that the client makes from now on."""
    labels: list[Any] = []
    session = client._easycluster_calls.session
    request = session.request

    def note(call: Any, *args: Any) -> None:
        labels.append(call.call_label)
        request(call, *args)

    monkeypatch.setattr(session, "request", note)
    return labels


@pytest.mark.parametrize("mode", ["r", "rb"])
def test_files(far: Any, tmp_path: Path, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lines of a file are fetched many at a time."""
    path = tmp_path / "lines"
    path.write_text("".join(f"{number}\n" for number in range(5000)))
    with with_options(far.file(str(path), mode), prefetch=1000) as lines:
        labels = count_calls(far, monkeypatch)
        assert [int(line) for line in lines] == list(range(5000))
        assert next(lines, "end") == "end"
    assert labels.count("next_lines") < 40
    assert "__next__" not in labels


def test_pipes(near: Any) -> None:
    """Each line of a pipe comes when it is written, and not with those after it."""
    near.eval("globals().update(pipe=os.pipe())")
    with with_options(near.eval("open(pipe[0])"), prefetch=10, threadid=1) as lines:
        for number in range(3):
            near.eval(f"os.write(pipe[1], b'{number}\\n')")
            assert next(lines) == f"{number}\n"
        near.eval("os.close(pipe[1])")
        assert list(lines) == []


def test_error_between_lines(near: Any, tmp_path: Path) -> None:
    """A line that cannot be read raises its error behind all lines before it."""
    path = tmp_path / "lines"
    path.write_bytes(b"line\n" * 30_000 + b"\xff\n")
    lines = with_options(near.file(str(path), "r"), prefetch=3000, origexc="quiet")
    with pytest.raises(UnicodeDecodeError):
        for line in lines:
            assert line == "line\n"
    near.eval("None")


@pytest.mark.parametrize(
    ("chosen", "kind", "text"),
    [
        ({"prefetch": 0}, ValueError, "prefetch must be at least 1, not 0"),
        ({"prefetch": -3}, ValueError, "prefetch must be at least 1, not -3"),
        ({"prefetch": 1.5}, TypeError, "prefetch must be a number of values, not 1.5"),
        ({"prefetch": True}, TypeError, "prefetch must be a number of values, not True"),
        ({"prefetch": 2, "nonblocking": True}, ValueError, "prefetch does not go with nonblocking"),
        (
            {"prefetch": 2, "oncomplete": print},
            ValueError,
            "prefetch does not go with nonblocking, oncomplete",
        ),
        ({"prefetch": 2, "threadid": SINGLE}, ValueError, "prefetch does not go with threadid=SINGLE"),
    ],
    ids=str,
)
def test_wrong_values(near: Any, chosen: dict[str, Any], kind: type[Exception], text: str) -> None:
    """A number that is none, and options that contradict it, are refused when the view is made, also a view of a
    view."""
    numbers = near.generate(3)
    for target in (numbers, with_options(numbers, timeout=5)):
        with pytest.raises(kind, match=text):
            with_options(target, **chosen)
    assert near.eval("produced") == []


def test_wrong_targets(near: Any) -> None:
    """Only proxies of iterators have values to be fetched ahead; elsewhere `prefetch` is no option."""
    for target in (near, near.generate, near.Vector(1, 2), near.Thing()):
        with pytest.raises(TypeError, match="prefetch is an option for proxies of iterators"):
            with_options(target, prefetch=3)
    vector = near.Vector(1, 2)
    assert list(with_options(iter(vector), prefetch=3)) == [1, 2]
    with pytest.raises(TypeError, match="unexpected keyword argument 'prefetch'"):
        vector.raw_call_method("__len__", prefetch=3)


def test_sending_to_the_generator(near: Any) -> None:
    """What would reach the generator after the values that were fetched is refused."""
    numbers = with_options(near.generate(9), prefetch=2)
    refused: list[Any] = [numbers.send, numbers.throw]
    for send in refused:
        with pytest.raises(TypeError, match=r"\(\) would reach the generator after the values"):
            send(None)
    assert list(numbers) == list(range(9))
