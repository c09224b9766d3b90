"""`wait` and `as_completed`: which responses count as done, when they return, and what they leave behind."""

from __future__ import annotations

import weakref
from typing import Any

import pytest

from easycluster_client._calls.response import NonblockingResponse
from easycluster_client._parallel.waiting import (
    ALL_COMPLETED,
    FIRST_COMPLETED,
    FIRST_EXCEPTION,
    DoneAndNotDone,
    as_completed,
    wait,
)
from easycluster_protocol._values.failures import pack_exception
from easycluster_protocol._wire import messages as m
from easycluster_protocol._wire.messages import Message
from easycluster_protocol.errors import CallTimeout
from helpers.clocks import Clock
from helpers.hand_made import HandMadeServer, note_receptions


def answer_afterwards(server: HandMadeServer, first: NonblockingResponse, *then: NonblockingResponse) -> None:
    """Answer the others when the answer to the first has been read."""
    first.call_add_watcher(lambda _: server.answer(*then))


def count_watchers(response: NonblockingResponse, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that holds how many watchers the response has, and changes with that."""
    watching = [0]
    add, remove = response.call_add_watcher, response.call_remove_watcher

    def note_added(watcher: Any) -> None:
        watching[0] += 1
        add(watcher)

    def note_removed(watcher: Any) -> None:
        watching[0] -= 1
        remove(watcher)

    monkeypatch.setattr(response, "call_add_watcher", note_added)
    monkeypatch.setattr(response, "call_remove_watcher", note_removed)
    return watching


# The arguments.


def test_unknown_return_when(server: HandMadeServer) -> None:
    """The error names the values that there are."""
    with pytest.raises(ValueError, match="FIRST_COMPLETED, FIRST_EXCEPTION, ALL_COMPLETED, not 'SOON'$"):
        wait([server.request()], return_when="SOON")


@pytest.mark.parametrize("function", [wait, as_completed])
def test_no_response(function: Any, server: HandMadeServer) -> None:
    """Anything but a response is refused at once, with its name, and nothing is read."""
    responses = [server.request(), "text"]

    with pytest.raises(TypeError, match="only responses of nonblocking calls can be waited for, not 'text'"):
        function(responses)


@pytest.mark.parametrize("function", [wait, as_completed])
@pytest.mark.parametrize(
    ("timeout", "error"), [("1", TypeError), (True, TypeError), (float("nan"), ValueError)]
)
def test_limit_that_is_none(function: Any, timeout: Any, error: type[Exception]) -> None:
    """A limit is checked at once, also when there is nothing to wait for."""
    with pytest.raises(error, match="timeout must be a number of seconds"):
        function([], timeout)


# `wait`.


def test_nothing_to_wait_for() -> None:
    """Without responses nothing is done and nothing is not, at once."""
    assert wait([]) == DoneAndNotDone(set(), set())


@pytest.mark.parametrize(
    ("return_when", "done"), [(ALL_COMPLETED, 2), (FIRST_EXCEPTION, 2), (FIRST_COMPLETED, 1)]
)
def test_when_it_returns(server: HandMadeServer, return_when: str, done: int) -> None:
    """A value ends only the waiting for the first response; the other answer comes after it."""
    first, second = server.request(), server.request()
    server.answer(first)
    answer_afterwards(server, first, second)
    found = wait([second, first], return_when=return_when)

    assert found == DoneAndNotDone(
        {first, second} if done == 2 else {first}, set() if done == 2 else {second}
    )
    assert (found.done, found.not_done) == tuple(found)


@pytest.mark.parametrize(
    ("return_when", "done"), [(ALL_COMPLETED, 2), (FIRST_EXCEPTION, 1), (FIRST_COMPLETED, 1)]
)
def test_when_it_returns_after_an_error(server: HandMadeServer, return_when: str, done: int) -> None:
    """An error ends the waiting for the first response and that for the first exception."""
    first, second = server.request(), server.request()
    body = pack_exception(ValueError("no"), 4)
    server.send(Message(m.FAILURE, first.request_id, body))
    answer_afterwards(server, first, second)
    found = wait([second, first], return_when=return_when)
    server.session.wait(second)

    assert found == DoneAndNotDone(
        {first, second} if done == 2 else {first}, set() if done == 2 else {second}
    )


def test_answers_that_come_together(server: HandMadeServer) -> None:
    """Waiting for the first returns all answers that have come with it."""
    responses = [server.request() for _ in range(3)]
    server.answer(*responses[:2])

    assert wait(responses, return_when=FIRST_COMPLETED) == DoneAndNotDone({*responses[:2]}, {responses[2]})


def test_response_that_was_done_before(server: HandMadeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A response that has its answer is done without anything being read."""
    response = server.request()
    server.answer(response)
    server.session.wait(response)
    receptions = note_receptions(server, monkeypatch)

    assert wait([response]) == DoneAndNotDone({response}, set())
    assert receptions == []


def test_response_that_occurs_twice(server: HandMadeServer) -> None:
    """It counts once, also when it is done."""
    response, pending = server.request(), server.request()
    server.answer(response)
    found = wait([response, pending, response, pending], timeout=0)

    assert found == DoneAndNotDone({response}, {pending})


def test_end_of_the_time_is_no_error(server: HandMadeServer, other: HandMadeServer) -> None:
    """Without time everything that has come on any connection is read, and the others are not done."""
    responses = [server.request(), other.request(), other.request()]
    other.answer(responses[2])

    assert wait(responses, timeout=0) == DoneAndNotDone({responses[2]}, {*responses[:2]})
    assert wait(responses[:1], timeout=-1) == DoneAndNotDone(set(), {responses[0]})


def test_nothing_watches_afterwards(server: HandMadeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether a response is done or not, nobody watches it after the end."""
    done, pending = server.request(), server.request()
    watching = count_watchers(done, monkeypatch), count_watchers(pending, monkeypatch)
    server.answer(done)
    wait([done, pending], return_when=FIRST_COMPLETED)

    assert watching == ([0], [0])


def test_connection_whose_responses_are_done(
    server: HandMadeServer, other: HandMadeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection is read as long as one of its responses is pending, and no longer."""
    responses = [server.request(), server.request(), other.request(), other.request()]
    server.answer(responses[0])
    answer_afterwards(server, responses[0], responses[1])
    other_receptions = note_receptions(other, monkeypatch)
    found: list[Any] = []
    iterator = as_completed(responses)
    found.append(next(iterator))
    found.append(next(iterator))
    before = len(other_receptions)
    server.session.close("over")
    other.answer(*responses[2:])

    assert found == responses[:2]
    assert before == 1
    assert list(iterator) == responses[2:]


def test_connection_without_pending_responses_is_not_asked(
    server: HandMadeServer, other: HandMadeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection all of whose responses have been taken plays no part any more, even if it may not be waited for."""
    first, second = server.request(), other.request()
    server.answer(first)
    iterator = as_completed([first, second])
    next(iterator)

    def refuse() -> None:
        raise AssertionError("it was to be left alone")

    monkeypatch.setattr(server.session, "check_may_wait", refuse)
    monkeypatch.setattr(other.session, "check_may_wait", lambda: other.answer(second))

    assert next(iterator) is second


def test_connection_with_one_of_two_responses_left(server: HandMadeServer) -> None:
    """A connection is still read for its second response after the first was taken."""
    first, second = server.request(), server.request()
    server.answer(first)
    iterator = as_completed([first, second])
    next(iterator)
    server.answer(second)

    assert list(iterator) == [second]


# `as_completed`.


def test_order_of_the_answers(server: HandMadeServer) -> None:
    """Responses are yielded in the order of their answers, each once."""
    responses = [server.request() for _ in range(3)]
    order = [responses[each] for each in (2, 0, 1)]
    server.answer(*order)

    assert list(as_completed([*responses, *responses])) == order


def test_nothing_is_watched_before_the_first_step(
    server: HandMadeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The iterator begins with its first step, and an abandoned one leaves nothing behind."""
    first, second = server.request(), server.request()
    watching = count_watchers(first, monkeypatch), count_watchers(second, monkeypatch)
    server.answer(first)
    iterator: Any = as_completed([first, second])
    before = [each[0] for each in watching]
    next(iterator)
    meanwhile = [each[0] for each in watching]
    iterator.close()

    assert (before, meanwhile, watching) == ([0, 0], [0, 1], ([0], [0]))


def test_limit_counts_from_the_call(server: HandMadeServer, clock: Clock) -> None:
    """The limit begins when the iterator is made; answers that have come by its end are yielded first."""
    responses = [server.request() for _ in range(3)]
    iterator = as_completed(responses, timeout=2.5)
    clock.now += 2.5
    server.answer(responses[1])

    assert next(iterator) is responses[1]
    with pytest.raises(CallTimeout) as raised:
        next(iterator)
    assert str(raised.value) == "2 of 3 calls have no answer within 2.5 seconds: they were sent, and go on"
    assert (raised.value.state, raised.value.response) == ("sent", None)


def test_nothing_watches_after_the_end_of_the_time(
    server: HandMadeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the time is over nobody watches the responses."""
    response = server.request()
    watching = count_watchers(response, monkeypatch)
    with pytest.raises(CallTimeout):
        list(as_completed([response], 0))

    assert watching == [0]


def test_yielded_response_belongs_to_the_caller(server: HandMadeServer) -> None:
    """While the iterator waits for the next response it does not keep the one before."""
    responses = [server.request(), server.request()]
    server.answer(responses[0])
    iterator = as_completed(responses)
    found, kept = weakref.ref(responses.pop(0)), list[Any]()
    next(iterator)
    server.session.arrived.clear()  # its completion functions have been called
    server.answer(responses[0])
    responses[0].call_add_watcher(lambda _: kept.append(found()))
    next(iterator)

    assert kept == [None]
