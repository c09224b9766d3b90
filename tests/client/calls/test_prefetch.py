"""Values of a remote iterator that are requested before a script asks for them."""

from __future__ import annotations

import gc
from types import SimpleNamespace
from typing import Any

import pytest

from easycluster_client._calls.prefetch import LinePrefetcher, Prefetcher, make_prefetcher
from easycluster_protocol._objects.proxies import RemoteProxy
from easycluster_protocol._objects.proxy_classes import FileProxy
from easycluster_protocol.errors import ConnectionLost
from helpers.checkpoints import Struck, places, strike
from helpers.other_thread import OtherThread


class FakeResponse:
    """The response of a call, which has its answer at once unless the iterator waits.

    Args:
        iterator: the iterator.
        number: the number of the call.
    """

    def __init__(self, iterator: FakeIterator, number: int) -> None:
        self._iterator = iterator
        self.number = number

    @property
    def have_response(self) -> bool:
        """Whether the answer has arrived."""
        return self.number not in self._iterator.unanswered

    def wait(self) -> int:
        """Return the value."""
        if not self.have_response:
            raise Struck
        if self.number >= self._iterator.length:
            raise StopIteration
        return self.number

    def exception(self) -> BaseException | None:
        """Return the error."""
        return StopIteration() if self.number >= self._iterator.length else None

    def call_wait(self, timeout: float | None) -> None:
        """Wait."""
        self._iterator.waits.append((self.number, timeout))


class FakeIterator:
    """A proxy of an iterator that yields its own numbers.

    Args:
        length: how many values it has.

    Attributes:
        calls: the options of the calls that were made.
        unanswered: the numbers of calls that have no answer yet.
        waits: which calls were waited for, and how long, before others.
        trouble: the number of the call that fails → the error.
        default_thread: the thread of calls without another one.
    """

    def __init__(self, length: int = 1_000_000) -> None:
        self.length = length
        self.calls: list[dict[str, Any]] = []
        self.unanswered: set[int] = set()
        self.waits: list[tuple[int, float | None]] = []
        self.trouble: dict[int, BaseException] = {}
        self.default_thread = 0
        self._easycluster_state = SimpleNamespace(current_calls=lambda: self)

    def raw_call_method(self, name: str, **options: Any) -> FakeResponse:
        """Make a call."""
        assert name == "__next__"
        number = len(self.calls)
        if number in self.trouble:
            raise self.trouble.pop(number)
        self.calls.append(options)
        return FakeResponse(self, number)


def prefetch(iterator: FakeIterator, count: int = 10, **options: Any) -> Prefetcher:
    """Return what fetches the values."""
    proxy: Any = iterator
    return Prefetcher(proxy, count, options)


def test_values_in_their_order() -> None:
    """The values come in the order of the iterator, each once."""
    prefetcher = prefetch(FakeIterator())

    assert [prefetcher.take() for _ in range(50)] == list(range(50))


def test_values_ahead() -> None:
    """As many values as asked for are under way beside the one that is taken."""
    iterator = FakeIterator()
    prefetcher = prefetch(iterator, 3)
    counts: list[int] = []
    for _ in range(3):
        prefetcher.take()
        counts.append(len(iterator.calls))

    assert counts == [4, 5, 6]
    assert iterator.calls[0] == {"nonblocking": True, "threadid": 0}


def test_values_ahead_of_a_long_iterator() -> None:
    """At first no more than 64 values are asked for ahead; the number doubles until it is what was asked for."""
    iterator = FakeIterator()
    prefetcher = prefetch(iterator, 200)
    counts: list[int] = []
    for taken in range(1, 5):
        prefetcher.take()
        counts.append(len(iterator.calls) - taken)

    assert counts == [64, 128, 200, 200]


def test_end_of_the_iterator() -> None:
    """The end of the iterator is raised in its place, and an iterator that ends soon is not asked for more."""
    iterator = FakeIterator(3)
    prefetcher = prefetch(iterator, 200)
    values = [prefetcher.take() for _ in range(3)]
    with pytest.raises(StopIteration):
        prefetcher.take()

    assert values == [0, 1, 2]
    assert len(iterator.calls) == 4 + 200


def test_limit_does_not_grow_with_errors() -> None:
    """Only values make more be asked for, and errors do not."""
    iterator = FakeIterator(0)
    prefetcher = prefetch(iterator, 200)
    for _ in range(3):
        with pytest.raises(StopIteration):
            prefetcher.take()

    assert len(iterator.calls) == 3 + 64


def test_options_of_the_calls() -> None:
    """The calls have the options of the view, but never wait, and all go to one thread."""
    iterator = FakeIterator()
    prefetch(iterator, 1, threadid=7, origexc="quiet", timeout=3, nonblocking=False).take()

    assert iterator.calls == [{"threadid": 7, "origexc": "quiet", "timeout": 3, "nonblocking": True}] * 2


def test_default_thread() -> None:
    """Without a thread the calls go to the default one; one that is None stands for that."""
    iterator = FakeIterator()
    iterator.default_thread = 9
    prefetch(iterator, 1, threadid=None).take()

    assert [options["threadid"] for options in iterator.calls] == [9, 9]
    assert iterator.waits == []


@pytest.mark.parametrize(("before", "after"), [(0, 9), (9, 1)])
def test_values_that_another_thread_takes(before: int, after: int) -> None:
    """When another thread takes values, its server thread begins when the last call of the other one has ended."""
    iterator = FakeIterator()
    iterator.default_thread = before
    prefetcher = prefetch(iterator, 2)
    first = prefetcher.take()
    iterator.default_thread = after
    second = prefetcher.take()
    third = prefetcher.take()

    assert (first, second, third) == (0, 1, 2)
    assert [options["threadid"] for options in iterator.calls] == [before] * 3 + [after] * 2
    assert iterator.waits == [(2, None)]


def test_last_call_that_is_gone() -> None:
    """A last call that has been answered and dropped has not to be waited for."""
    iterator = FakeIterator()
    prefetcher = prefetch(iterator, 2)
    prefetcher.take()
    prefetcher.forget()
    gc.collect()
    iterator.default_thread = 9
    prefetcher.take()

    assert iterator.waits == []


def test_answer_that_does_not_come() -> None:
    """A caller that gave up waiting gets the same value the next time."""
    iterator = FakeIterator()
    prefetcher = prefetch(iterator, 2)
    iterator.unanswered = {0, 1, 2}
    for _ in range(3):
        with pytest.raises(Struck):
            prefetcher.take()
    iterator.unanswered = set()

    assert [prefetcher.take() for _ in range(5)] == [0, 1, 2, 3, 4]


def test_forgetting() -> None:
    """What was requested ahead can be forgotten; the next value comes after that."""
    iterator = FakeIterator()
    prefetcher = prefetch(iterator, 2)
    first = prefetcher.take()
    prefetcher.forget()

    assert (first, prefetcher.take()) == (0, 3)


def test_connection_that_ends() -> None:
    """When no more can be requested the values that are there come first, and then the error."""
    iterator = FakeIterator()
    prefetcher = prefetch(iterator, 2)
    first = prefetcher.take()
    lost = ConnectionLost("ended")
    iterator.trouble = dict.fromkeys([3], lost)
    values = [prefetcher.take()]
    iterator.trouble = dict.fromkeys([3], lost)
    values.append(prefetcher.take())
    iterator.trouble = dict.fromkeys([3], lost)
    with pytest.raises(ConnectionLost, match="^ended$"):
        prefetcher.take()

    assert (first, values) == (0, [1, 2])


def test_interrupt_while_more_is_requested() -> None:
    """An interrupt that comes while more is requested is raised, and loses no value."""
    iterator = FakeIterator()
    prefetcher = prefetch(iterator, 3)
    prefetcher.take()
    iterator.trouble = {4: KeyboardInterrupt()}
    with pytest.raises(KeyboardInterrupt):
        prefetcher.take()

    assert [prefetcher.take() for _ in range(5)] == [1, 2, 3, 4, 5]


@pytest.mark.xfail(
    strict=True,
    reason="a value is lost between the sending of its call and the note of it",
)
def test_interrupt_while_a_value_is_taken() -> None:
    """Wherever an interrupt comes while a value is taken, the next one that is taken is that value."""

    def once(at: int) -> bool:
        iterator = FakeIterator()
        prefetcher = prefetch(iterator, 2)
        prefetcher.take()
        outcome = strike(prefetcher.take, at)
        values = [prefetcher.take() for _ in range(3)]
        assert values == ([1, 2, 3] if outcome.struck else [2, 3, 4]), outcome
        return outcome.struck > 0

    assert places(once) > 20


class Always(dict[int, BaseException]):
    """The same trouble at each call."""

    def __contains__(self, _: object) -> bool:
        return True

    def pop(self, *_: Any) -> Any:
        raise ConnectionLost("ended")


def test_interrupt_while_a_value_that_has_come_is_taken() -> None:
    """A value that has come is not lost on its way to the caller, wherever an interrupt comes."""

    def once(at: int) -> bool:
        iterator = FakeIterator()
        prefetcher = prefetch(iterator, 4)
        prefetcher.take()
        iterator.trouble = Always()  # nothing more is sent
        outcome = strike(prefetcher.take, at)
        values = [prefetcher.take() for _ in range(3)]
        assert values == ([1, 2, 3] if outcome.struck else [2, 3, 4]), outcome
        return outcome.struck > 0

    assert places(once) > 10


class FakeLines:
    """The response of a call that asks for lines.

    Args:
        label: the label of the call.
        answer: the lines, or one line; None: they are to be requested one by one.
    """

    have_response = True

    def __init__(self, label: str, answer: Any) -> None:
        self.call_label = label
        self._answer = answer

    def wait(self) -> Any:
        """Return the lines."""
        if self._answer == []:
            raise StopIteration
        return self._answer

    def exception(self) -> BaseException | None:
        """Return the error."""
        return StopIteration() if self._answer == [] else None


class FakeFile(FakeIterator):
    """A file whose lines are numbers.

    Attributes:
        waits_for_lines: whether they are to be requested one by one.
        asked: how many lines each call asked for.
    """

    waits_for_lines = False

    def __init__(self, length: int) -> None:
        super().__init__(length)
        self.asked: list[int] = []
        self._easycluster_state = SimpleNamespace(current_calls=lambda: self, operation=self.operation)

    def raw_call_method(self, name: str, **options: Any) -> Any:
        return FakeLines(name, self._read(1)[0])

    def operation(self, name: str, args: Any, options: Any) -> Any:
        """Make a call of the root."""
        file, count = args
        assert file is self
        return FakeLines(name, None if self.waits_for_lines else self._read(count))

    def _read(self, count: int) -> list[int]:
        start = sum(self.asked)
        self.asked.append(count)
        return list(range(start, min(self.length, start + count)))


def take_all(prefetcher: Prefetcher, at_most: int = 1_000_000) -> list[int]:
    """Take values until the end."""
    values: list[int] = []
    try:
        while len(values) < at_most:
            values.append(prefetcher.take())
    except StopIteration:
        pass
    return values


@pytest.mark.parametrize("count", [3, 30, 1000])
def test_lines(count: int) -> None:
    """Lines of a file come in their order, many to a message, never more than were asked for ahead."""
    file = FakeFile(1000)
    proxy: Any = file
    prefetcher = LinePrefetcher(proxy, count, {})
    ahead: list[int] = []
    values = [prefetcher.take()]
    while len(values) < 1000:
        ahead.append(sum(file.asked) - len(values))
        values.append(prefetcher.take())

    assert values == list(range(1000))
    with pytest.raises(StopIteration):
        prefetcher.take()
    assert max(ahead) <= count
    assert len(file.asked) < 2 + 1000 // (count // 3) + 10


def test_lines_one_by_one() -> None:
    """Where the server would have to wait, lines are requested one by one, as many ahead as asked for."""
    file = FakeFile(1000)
    file.waits_for_lines = True
    proxy: Any = file
    prefetcher = LinePrefetcher(proxy, 30, {})

    assert take_all(prefetcher, 100) == list(range(100))
    assert set(file.asked) == {1}
    assert sum(file.asked) == 100 + 30


def test_choice() -> None:
    """Files have prefetchers of their own, unless hardly anything is to be fetched ahead."""
    file, other = FileProxy.__new__(FileProxy), RemoteProxy.__new__(RemoteProxy)

    assert type(make_prefetcher(file, 3, {})) is LinePrefetcher
    assert type(make_prefetcher(file, 2, {})) is Prefetcher
    assert type(make_prefetcher(other, 1000, {})) is Prefetcher


def test_sending_is_locked(other_thread: OtherThread) -> None:
    """Two threads do not request values at the same time, but one may wait while the other requests."""
    iterator = FakeIterator()
    prefetcher = prefetch(iterator, 1)
    found: list[bool] = []
    call = iterator.raw_call_method

    def look(name: str, **options: Any) -> FakeResponse:
        found.append(other_thread.run(prefetcher._lock.acquire, False))
        return call(name, **options)

    iterator.raw_call_method = look  # type: ignore[method-assign]
    prefetcher.take()

    assert found == [False, False]
    assert other_thread.run(prefetcher._lock.acquire, False)
    other_thread.run(prefetcher._lock.release)
