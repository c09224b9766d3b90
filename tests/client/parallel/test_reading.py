"""Reading several connections at once in the thread that waits."""

from __future__ import annotations

import os
import select
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from easycluster_client._parallel.reading import ConnectionReader, ReadSource
from easycluster_client._session.session import ClientSession
from easycluster_protocol.errors import CompletionError, ConnectionLost
from easycluster_server._system.posix import waiting
from helpers.checkpoints import Struck
from helpers.client_states import give_turn, hand_over_for_another
from helpers.clocks import Clock
from helpers.hand_made import HandMadeServer, note_receptions

#: A deadline that is over.
PAST = 0.0


class Polls:
    """Stands for the module `select` of `wait_for_any`: waits by a clock, and notes each wait.

    Attributes:
        watched: for each wait the descriptors that it was for.
        timeouts: for each wait how long it was to last, in milliseconds.
        trouble: what is raised by the next wait.
    """

    POLLIN = select.POLLIN

    def __init__(self, clock: Clock) -> None:
        self.watched: list[list[int]] = []
        self.timeouts: list[float | None] = []
        self.trouble: BaseException | None = None
        self._clock = clock

    def poll(self) -> Any:
        """Return a new object to wait with."""
        poll, descriptors = select.poll(), list[int]()

        def register(descriptor: int, events: int) -> None:
            descriptors.append(descriptor)
            poll.register(descriptor, events)

        def wait(timeout: float | None) -> list[tuple[int, int]]:
            self.watched.append(descriptors)
            self.timeouts.append(timeout)
            if self.trouble is not None:
                raise self.trouble
            found = poll.poll(0)
            assert found or timeout is not None, "it would wait for ever"
            if not found:
                self._clock.now += (timeout or 0) / 1000
            return found

        return SimpleNamespace(register=register, poll=wait)


class NotedCalls:
    """Stands for a client's maker of calls: notes the sessions whose completion functions it is to call."""

    def __init__(self) -> None:
        self.completed: list[ClientSession] = []

    def run_completions(self, session: ClientSession) -> int:
        """Note it."""
        self.completed.append(session)
        session.arrived.clear()
        return 1


@pytest.fixture
def polls(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> Polls:
    """The waits for descriptors."""
    polls = Polls(clock)
    monkeypatch.setattr(waiting, "select", polls)
    return polls


def source_of(server: HandMadeServer, calls: Any = None) -> ReadSource:
    """Return what a reader needs of a server's connection."""
    found: Any = calls or server
    return ReadSource(server.session, found)


class Asked:
    """The question whether to stop: does something when it is asked, a step for each time; True after the last.

    Attributes:
        times: how often it was asked.
    """

    def __init__(self, *steps: Callable[[], object]) -> None:
        self.times = 0
        self._steps = list(steps)

    def __call__(self) -> bool:
        self.times += 1
        if not self._steps:
            return True
        self._steps.pop(0)()
        return False


def nothing() -> None:
    """Do nothing."""


def never() -> bool:
    """Say that there is more to read."""
    return False


# Without time.


def test_each_connection_is_read_without_time(server: HandMadeServer, other: HandMadeServer) -> None:
    """Answers that have come are read from every connection, although the time is over."""
    responses = [server.request(), other.request()]
    for each, response in zip((server, other), responses, strict=True):
        each.answer(response)

    is_done = lambda: all(response.have_response for response in responses)  # noqa: E731
    assert ConnectionReader().read([source_of(server), source_of(other)], is_done, PAST)


def test_nothing_comes_in_time(server: HandMadeServer, polls: Polls, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without time a connection is read once and nothing is waited for."""
    receptions = note_receptions(server, monkeypatch)

    assert not ConnectionReader().read([source_of(server)], never, PAST)
    assert (receptions, polls.watched) == ([False], [])


def test_connection_that_has_been_read_before(
    server: HandMadeServer, polls: Polls, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the second time on a connection is read when the kernel has reported something, a new one at once."""
    receptions = note_receptions(server, monkeypatch)
    reader, response = ConnectionReader(), server.request()
    reader.read([source_of(server)], never, PAST)
    server.answer(response)
    found = reader.read([source_of(server)], lambda: response.have_response, PAST)
    assert (found, receptions) == (False, [False])

    assert reader.read([source_of(server)], lambda: response.have_response, None)
    assert receptions == [False, False]
    assert len(polls.watched) == 1


# Waiting.


def test_answer_while_it_waits(
    server: HandMadeServer, other: HandMadeServer, polls: Polls, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the connection that has something to read is read after a wait, and nothing listens afterwards."""
    response = other.request()
    receptions = note_receptions(server, monkeypatch), note_receptions(other, monkeypatch)
    asked = Asked(lambda: other.answer(response), nothing)

    assert ConnectionReader().read([source_of(server), source_of(other)], asked, None)
    assert response.have_response
    assert receptions == ([False], [False, False])
    assert (server.session.turn.gates, other.session.turn.gates) == ({}, {})
    assert polls.watched[0][:2] == [each.session.transport.fileno() for each in (server, other)]
    assert (len(polls.watched), len(polls.watched[0]), polls.timeouts) == (1, 3, [10_000])


def test_time_passes(server: HandMadeServer, clock: Clock, polls: Polls) -> None:
    """It waits for the time that is left, in milliseconds, and asks once more when that is over."""
    asked = Asked(nothing, nothing, nothing, nothing)

    assert not ConnectionReader().read([source_of(server)], asked, clock.now + 2.5)
    assert polls.timeouts == [2500]
    assert asked.times == 3


@pytest.mark.parametrize("deadline", [None, PAST])
def test_end_that_comes_with_the_first_reading(
    server: HandMadeServer, polls: Polls, deadline: float | None
) -> None:
    """When there is nothing more to wait for it returns at once, whatever the limit is."""
    assert ConnectionReader().read([source_of(server)], Asked(), deadline)
    assert polls.watched == []


def test_answer_just_before_the_gate_is_there(server: HandMadeServer, polls: Polls) -> None:
    """An answer that another thread has read before this one listens is not waited for."""
    gates: list[int] = []
    asked = Asked(lambda: gates.append(len(server.session.turn.gates)))

    assert ConnectionReader().read([source_of(server)], asked, None)
    assert (asked.times, gates, polls.watched) == (3, [0], [])
    assert server.session.turn.gates == {}


def test_thread_that_may_not_wait(
    server: HandMadeServer, other: HandMadeServer, polls: Polls, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where one of the connections must not be waited for, nothing is; reading what has come is allowed."""

    def refuse() -> None:
        raise CompletionError("not here")

    monkeypatch.setattr(other.session, "check_may_wait", refuse)
    both = [source_of(server), source_of(other)]

    assert ConnectionReader().read(both, Asked(), None)
    assert not ConnectionReader().read(both, never, PAST)
    with pytest.raises(CompletionError, match="not here"):
        ConnectionReader().read(both, never, None)
    assert polls.watched == []


def test_interrupt_while_it_waits(server: HandMadeServer, other: HandMadeServer, polls: Polls) -> None:
    """An interrupt leaves no gate and no descriptor behind, and the turn free."""
    polls.trouble = Struck()
    with pytest.raises(Struck):
        ConnectionReader().read([source_of(server), source_of(other)], never, None)

    for each in (server, other):
        assert (each.session.turn.gates, each.session.turn.holder) == ({}, None)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(polls.watched[0][-1])


# Other threads read.


def test_gate_opens(
    server: HandMadeServer, other: HandMadeServer, polls: Polls, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When another thread has read something all connections are tried again."""
    receptions = note_receptions(server, monkeypatch), note_receptions(other, monkeypatch)
    asked = Asked(nothing, lambda: other.session.turn.open_gates_of(None))

    assert ConnectionReader().read([source_of(server), source_of(other)], asked, None)
    assert receptions == ([False, False], [False, False])
    assert len(polls.watched) == 1


def test_connection_that_another_thread_reads(
    server: HandMadeServer, other: HandMadeServer, clock: Clock, polls: Polls
) -> None:
    """A connection is left to the thread that reads it; only the others, and the gate, are watched."""
    give_turn(server.session.turn)
    server.answer(server.request())

    assert not ConnectionReader().read([source_of(server), source_of(other)], never, clock.now + 1)
    assert len(polls.watched[0]) == 2
    assert polls.watched[0][0] == other.session.transport.fileno()


def test_connection_is_watched_when_its_turn_becomes_free(server: HandMadeServer, polls: Polls) -> None:
    """A connection that another thread has read until just now is watched by this one."""
    turn, response = server.session.turn, server.request()
    give_turn(turn)
    server.answer(response)
    asked = Asked(lambda: hand_over_for_another(turn), nothing)

    assert ConnectionReader().read([source_of(server)], asked, None)
    assert response.have_response
    assert polls.watched[0][0] == server.session.transport.fileno()


def test_connection_whose_turn_was_taken_only_now(server: HandMadeServer, clock: Clock, polls: Polls) -> None:
    """A connection that this thread has just read is watched even if another thread has the turn now."""
    asked = Asked(lambda: give_turn(server.session.turn), nothing, nothing, nothing)

    assert not ConnectionReader().read([source_of(server)], asked, clock.now + 1)
    assert len(polls.watched[0]) == 2


def test_connection_that_this_thread_reads_again(server: HandMadeServer, clock: Clock, polls: Polls) -> None:
    """After this thread has read a connection in the place of another thread, it is watched again."""
    turn = server.session.turn
    give_turn(turn)

    def later() -> None:
        """Another thread takes the turn after this one has read."""
        give_turn(turn)

    asked = Asked(nothing, lambda: hand_over_for_another(turn), later, nothing, nothing)
    ConnectionReader().read([source_of(server)], asked, clock.now + 1)

    assert [len(each) for each in polls.watched] == [1, 2]


def test_lost_connection_is_not_watched(server: HandMadeServer, clock: Clock, polls: Polls) -> None:
    """A connection that has been closed has no descriptor to watch, and its calls have ended."""
    response = server.request()
    server.session.close("over")

    assert isinstance(response.call_loss, ConnectionLost)
    assert not ConnectionReader().read([source_of(server)], never, clock.now + 1)
    assert len(polls.watched[0]) == 1


# Completion functions.


def test_completion_functions_of_all_connections(server: HandMadeServer, other: HandMadeServer) -> None:
    """They are called also for a connection that was not read, as its answer may have come while another was sent."""
    calls, other_calls = NotedCalls(), NotedCalls()
    both = [source_of(server, calls), source_of(other, other_calls)]
    reader = ConnectionReader()
    reader.read(both, never, PAST)
    response = other.request(oncomplete=print)
    other.answer(response)
    other.session.read(True)
    before = list(other_calls.completed)
    reader.read(both, never, PAST)

    assert (before, calls.completed, other_calls.completed) == ([], [], [other.session])


def test_completion_functions_come_before_the_question(server: HandMadeServer) -> None:
    """When it is asked whether to stop, the completion functions of the answers have been called."""
    calls = NotedCalls()
    server.answer(server.request(oncomplete=print))

    assert ConnectionReader().read([source_of(server, calls)], lambda: bool(calls.completed), PAST)


# The gate.


def test_gate_that_is_opened_many_times(server: HandMadeServer, polls: Polls) -> None:
    """A gate can be opened more often than its socket has room for, and also after it was closed."""
    gates: list[Any] = []

    def open_often() -> None:
        gates.extend(server.session.turn.gates)
        for _ in range(5000):
            gates[0].open()

    assert ConnectionReader().read([source_of(server)], Asked(nothing, open_often), None)
    gates[0].open()
    assert len(polls.watched) == 1
