"""What the functions of `concurrent.futures` hold on to, and when they are told."""

from __future__ import annotations

import gc
import threading
import weakref
from concurrent.futures import as_completed, wait
from typing import Any

import pytest

from easycluster_client._calls.future_condition import FutureCondition
from easycluster_client._calls.response import NonblockingResponse
from helpers.hand_made import HandMadeServer
from helpers.waiting import PATIENCE


class Waiter:
    """Notes what it is told.

    Args:
        trouble: what it raises when it is told the first time.
    """

    def __init__(self, *trouble: BaseException) -> None:
        self.told: list[Any] = []
        self._trouble = list(trouble)

    def add_result(self, response: Any) -> None:
        if self._trouble:
            raise self._trouble.pop()
        self.told.append(("result", response))

    def add_exception(self, response: Any) -> None:
        self.told.append(("exception", response))


class Answered:
    """Has an answer."""

    call_has_failed = False


def in_thread(function: Any, *arguments: Any) -> None:
    """Call something in another thread, which ends before this returns."""
    thread = threading.Thread(target=function, args=arguments)
    thread.start()
    thread.join(PATIENCE)
    assert not thread.is_alive()


def test_told_once() -> None:
    """An answer that is delivered again, as after an interrupt, is told once."""
    condition, waiter, response = FutureCondition(), Waiter(), Answered()
    condition.waiters.append(waiter)
    for _ in range(2):
        condition.finish(response)

    assert waiter.told == [("result", response)]
    assert condition.is_finished


def test_while_another_thread_holds_the_condition() -> None:
    """Who has an answer does not wait for the condition: who holds it tells of it when giving it back."""
    condition, waiter, response = FutureCondition(), Waiter(), Answered()
    with condition:
        in_thread(condition.finish, response)
        before = condition.is_finished
        condition.waiters.append(waiter)

    assert not before
    assert condition.is_finished
    assert waiter.told == [("result", response)]


def test_while_the_same_thread_holds_the_condition() -> None:
    """No state changes while the condition is held, not even if its holder itself reads the answer."""
    condition, waiter, response = FutureCondition(), Waiter(), Answered()
    condition.acquire()
    with condition:
        condition.finish(response)
    before = condition.is_finished
    condition.waiters.append(waiter)
    condition.release()

    assert not before
    assert waiter.told == [("result", response)]


@pytest.mark.parametrize("leaves", [True, False])
def test_interrupt_while_telling(leaves: bool) -> None:
    """Who was told before an interrupt is not told again when the answer is delivered again, and the others are."""
    condition, response = FutureCondition(), Answered()
    waiters = [Waiter(), Waiter(KeyboardInterrupt()), Waiter()]
    condition.waiters += waiters
    with pytest.raises(KeyboardInterrupt):
        condition.finish(response)
    if leaves:
        condition.waiters.remove(waiters[0])
    condition.finish(response)

    assert [waiter.told for waiter in waiters] == [[("result", response)]] * 3
    assert condition.is_finished


def test_answer_is_not_kept() -> None:
    """What has been told of is not held."""
    condition, response = FutureCondition(), Answered()
    reference = weakref.ref(response)
    gc.disable()
    try:
        with condition:
            condition.finish(response)
        del response

        assert reference() is None
    finally:
        gc.enable()


def test_conditions_are_given_back_after_an_error(server: HandMadeServer) -> None:
    """A response for which nobody reads is refused, and what was given beside it can be waited for afterwards."""
    refused = server.request()
    good = NonblockingResponse(server._client, "f", server.session)
    responses: list[Any] = [refused, good]
    server.reads_by_itself = False
    for function in (wait, lambda responses: next(as_completed(responses))):
        with pytest.raises(TypeError, match=r"easycluster\.wait and easycluster\.as_completed"):
            function(responses)
    taken: list[bool] = []
    for response in responses:
        in_thread(lambda each: taken.append(each._condition._lock.acquire(blocking=False)), response)

    assert taken == [True, True]
