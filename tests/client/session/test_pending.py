"""What a session knows of its calls: answers, losses, and who is told of them."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from easycluster_client._session.pending import PendingCall, PendingCalls
from easycluster_protocol.errors import ConnectionLost
from helpers.checkpoints import Struck, places, strike


def watched_call(told: list[PendingCall]) -> PendingCall:
    """A call with a watcher that notes the call."""
    call = PendingCall()
    call.call_add_watcher(told.append)
    return call


def calls_under_way(*calls: PendingCall) -> PendingCalls:
    """Calls that have been sent, numbered from 1."""
    found = PendingCalls()
    for number, call in enumerate(calls, 1):
        call.call_is_sent = True
        found.by_number[number] = call
    return found


# One call.


def test_new_call() -> None:
    """A call that was not sent yet has no answer and no watcher."""
    call = PendingCall()

    assert (call.call_is_answered, call.call_is_started, call.call_is_watched) == (False, False, False)
    assert call.call_is_sent is None
    assert (call.call_answer, call.call_loss, call.request_id, call.call_label) == (None, None, 0, "")


def test_loss_is_an_answer() -> None:
    """The error of a lost connection takes the place of the answer, and the first error stays."""
    call, error = PendingCall(), ConnectionLost("first")
    call.call_lose(error)
    call.call_lose(ConnectionLost("second"))

    assert call.call_is_answered
    assert call.call_loss is error


def test_no_loss_after_the_answer() -> None:
    """A call that has its answer keeps it when the connection is lost."""
    call = PendingCall()
    call.call_is_answered = True
    call.call_lose(ConnectionLost("late"))

    assert call.call_loss is None


def test_watchers_are_told_in_their_order() -> None:
    """Each watcher gets the call, in the order in which they came, and none of them before."""
    call = PendingCall()
    told: list[Any] = []
    call.call_add_watcher(lambda each: told.append((1, each)))
    call.call_add_watcher(lambda each: told.append((2, each)))
    before = list(told)
    call.call_tell_watchers()

    assert before == []
    assert told == [(1, call), (2, call)]
    assert call.call_is_watched


def test_watcher_of_an_answered_call_is_told_at_once() -> None:
    """A watcher that comes after the answer is told now, and again with every repetition."""
    call = PendingCall()
    call.call_is_answered = True
    told: list[PendingCall] = []
    call.call_add_watcher(told.append)
    call.call_tell_watchers()

    assert told == [call, call]


class AnsweredMeanwhile(PendingCall):
    """Its answer comes, from another thread, at one moment while a watcher is added."""

    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(name, value)
        if name == "call_is_watched" and not self.call_is_answered:
            self.call_is_answered = True


def test_answer_that_comes_while_a_watcher_is_added() -> None:
    """A watcher misses no answer, even one whose reader has found the call unwatched."""
    call = AnsweredMeanwhile()
    told: list[PendingCall] = []
    call.call_add_watcher(told.append)

    assert told == [call]


def test_watcher_is_there_when_the_call_is_watched() -> None:
    """A reader that finds the call watched finds its watcher, too."""
    found: list[int] = []

    class Looks(PendingCall):
        def __setattr__(self, name: str, value: object) -> None:
            super().__setattr__(name, value)
            if name == "call_is_watched":
                self.call_tell_watchers()

    Looks().call_add_watcher(lambda call: found.append(1))

    assert found == [1]


def test_removed_watcher_is_not_told() -> None:
    """Removing takes one watcher away, once for each time that it was added."""
    call = PendingCall()
    told: list[str] = []

    def first(_: PendingCall) -> None:
        told.append("first")

    def second(_: PendingCall) -> None:
        told.append("second")

    for watcher in (first, second, first):
        call.call_add_watcher(watcher)
    call.call_remove_watcher(first)
    call.call_tell_watchers()

    assert sorted(told) == ["first", "second"]


def test_removing_a_watcher_that_is_not_there() -> None:
    """A watcher that was not added, or was removed already, can be removed without harm."""
    call = PendingCall()
    told: list[PendingCall] = []
    call.call_remove_watcher(told.append)
    call.call_add_watcher(told.append)
    for _ in range(2):
        call.call_remove_watcher(told.append)
    call.call_tell_watchers()

    assert told == []


def test_watcher_that_removes_itself() -> None:
    """A watcher that removes itself when it is told keeps no other from being told."""
    call = PendingCall()
    told: list[PendingCall] = []

    def once(each: PendingCall) -> None:
        told.append(each)
        each.call_remove_watcher(once)

    call.call_add_watcher(once)
    call.call_add_watcher(told.append)
    call.call_tell_watchers()
    call.call_tell_watchers()

    assert told == [call] * 3


def test_telling_when_there_is_no_watcher() -> None:
    """A call that has completion functions and no watcher is settled like any other."""
    call = PendingCall()
    call.call_is_watched = True
    calls = calls_under_way(call)
    calls.settle(1, call)

    assert (calls.by_number, calls.arrived) == ({}, [call])


def test_calls_share_no_watchers() -> None:
    """A watcher belongs to the one call that it was given to."""
    told: list[PendingCall] = []
    watched, other = watched_call(told), PendingCall()
    other.call_add_watcher(lambda _: None)
    other.call_tell_watchers()

    assert told == []
    watched.call_tell_watchers()
    assert told == [watched]


def test_call_that_no_script_holds_completes_silently() -> None:
    """A call without a response has no completion functions, and completing it does nothing."""
    call = PendingCall()
    call.call_complete()

    assert vars(call) == {}


# The calls of a session.


def test_length_counts_calls_until_they_are_completed() -> None:
    """Calls without an answer count, and answered ones whose completion functions have not been called."""
    calls = calls_under_way(PendingCall(), watched_call([]), PendingCall())
    before = len(calls)
    calls.settle(2, calls.by_number[2])
    calls.settle(1, calls.by_number[1])

    assert (before, len(calls)) == (3, 2)


def test_settled_call_that_nobody_watches() -> None:
    """An answered call that no watcher waits for is forgotten; settling it again changes nothing."""
    call, other = PendingCall(), PendingCall()
    calls = calls_under_way(call, other)
    for _ in range(2):
        calls.settle(1, call)

    assert calls.by_number == {2: other}
    assert calls.arrived == []


def test_settled_call_that_is_watched() -> None:
    """Its watchers are told first, while it still counts as under way; then it waits to be completed."""
    found: list[tuple[bool, int]] = []
    call = PendingCall()
    calls = calls_under_way(call, PendingCall())
    call.call_add_watcher(lambda each: found.append((calls.by_number.get(1) is each, len(calls.arrived))))
    calls.settle(1, call)

    assert found == [(True, 0)]
    assert calls.arrived == [call]
    assert 1 not in calls.by_number


def test_call_that_is_settled_twice_is_completed_once() -> None:
    """When an answer is delivered again the watchers are told again, and the call is completed once."""
    told: list[PendingCall] = []
    call = watched_call(told)
    calls = calls_under_way(call)
    calls.settle(1, call)
    calls.arrived.clear()  # it has been completed
    calls.settle(1, call)

    assert told == [call, call]
    assert calls.arrived == []


@pytest.mark.parametrize("times", [1, 2])
def test_interrupt_while_a_call_is_settled(times: int) -> None:
    """Wherever an interrupt comes, the repetition of the answer tells the watchers, and the call is completed once."""

    def once(at: int) -> bool:
        told: list[PendingCall] = []
        call = watched_call(told)
        calls = calls_under_way(call)
        outcome = strike(lambda: calls.settle(1, call), at, times)
        if outcome.struck:
            calls.settle(1, call)
        assert set(told) == {call}, outcome
        assert (calls.arrived, calls.by_number) == ([call], {}), outcome
        return outcome.struck > 0

    assert places(once) > 5


def test_interrupt_in_a_watcher() -> None:
    """An interrupt that comes while a watcher is told leaves the call under way, so that its answer comes again."""

    def interrupted(_: PendingCall) -> None:
        raise Struck

    call = PendingCall()
    call.call_add_watcher(interrupted)
    calls = calls_under_way(call)
    with pytest.raises(Struck):
        calls.settle(1, call)

    assert (calls.by_number, calls.arrived) == ({1: call}, [])


def new_errors() -> Any:
    """A function that makes errors, each with its number."""
    numbers = itertools.count(1)
    return lambda _: ConnectionLost(f"lost {next(numbers)}")


def test_each_lost_call_has_an_error_of_its_own() -> None:
    """When the connection ends every call under way gets an error that no other call shares."""
    told: list[PendingCall] = []
    watched, plain, answered = watched_call(told), PendingCall(), PendingCall()
    answered.call_is_answered = True
    calls = calls_under_way(watched, plain, answered)
    arrived = calls.arrived
    calls.lose_all(new_errors())

    assert [str(each.call_loss) for each in (watched, plain)] == ["lost 1", "lost 2"]
    assert answered.call_loss is None
    assert told == [watched]
    assert calls.by_number == {}
    assert calls.arrived is arrived
    assert calls.arrived == [watched]


@pytest.mark.parametrize("is_sent", [False, True])
def test_call_that_is_being_sent_is_left_to_its_thread(is_sent: bool) -> None:
    """The end of the connection leaves a call that a thread is sending to that thread, which says whether it was
    sent; then the call is lost like any other."""
    told: list[PendingCall] = []
    call = watched_call(told)
    calls = calls_under_way(call)
    call.call_is_sent = None
    calls.lose_all(new_errors())
    before = (call.call_loss, list(told), dict(calls.by_number), list(calls.arrived))
    call.call_is_sent = is_sent
    calls.lose_all(new_errors())

    assert before == (None, [], {1: call}, [])
    assert (str(call.call_loss), told, calls.by_number, calls.arrived) == ("lost 1", [call], {}, [call])


def test_answers_that_are_ignored() -> None:
    """Once answers are ignored no call is found for them, and the calls stay under way."""
    call = PendingCall()
    calls = calls_under_way(call)
    before = calls.find(1)
    calls.ignore_answers()

    assert (before, calls.find(1), calls.by_number) == (call, None, {1: call})


def test_watcher_learns_of_a_lost_call_when_it_is_lost() -> None:
    """A watcher that is told of a lost connection finds the error in its call."""
    found: list[ConnectionLost | None] = []
    call = PendingCall()
    call.call_add_watcher(lambda each: found.append(each.call_loss))
    calls_under_way(call).lose_all(new_errors())

    assert [str(each) for each in found] == ["lost 1"]


def test_abandoned_calls_are_not_completed() -> None:
    """In a forked process every call ends by an error of its own, and no watcher or completion function is called."""
    told: list[PendingCall] = []
    calls = calls_under_way(watched_call(told), PendingCall(), watched_call(told))
    under_way = list(calls.by_number.values())
    calls.settle(3, under_way[2])
    arrived, told[:] = calls.arrived, []
    calls.abandon_all(new_errors())

    assert [str(each.call_loss) for each in under_way] == ["lost 1", "lost 2", "None"]
    assert (calls.by_number, told) == ({}, [])
    assert calls.arrived is arrived
    assert arrived == []
