"""Whose turn it is to read: who takes it, who waits for it, and who is woken when it is given back."""

from __future__ import annotations

from collections.abc import Callable
from threading import get_ident
from typing import Any

import pytest

from easycluster_client import _deadlines
from easycluster_client._session import read_turn
from easycluster_client._session.pending import PendingCall
from easycluster_client._session.read_turn import ReadTurn
from easycluster_protocol.errors import ConnectionLost
from helpers.checkpoints import Struck, places, strike
from helpers.clocks import Clock
from helpers.gates import NotedGate
from helpers.hand_made import HandMadeServer, Waiter, start_reader
from helpers.other_thread import OtherThread
from helpers.waiting import PATIENCE, wait_until


class ScriptedGate(NotedGate):
    """A gate of which the test says what each attempt to pass it finds.

    Args:
        finds: for each attempt whether the gate is open, or a function that says so.

    Attributes:
        timeouts: how long each attempt was to last.
    """

    def __init__(self, *finds: bool | Callable[[], bool]) -> None:
        super().__init__()
        self.timeouts: list[float] = []
        self._finds = list(finds)

    def wait(self, seconds: float) -> bool:
        """Try to pass."""
        self.timeouts.append(seconds)
        found = self._finds.pop(0)
        return found() if callable(found) else found


@pytest.fixture
def turn() -> ReadTurn:
    """The turn of a connection that nobody reads."""
    return ReadTurn()


def take(turn: ReadTurn) -> None:
    """Take the turn for the calling thread, surely."""
    assert turn.claim(0, get_ident()) == get_ident()


def listen(turn: ReadTurn, *gates: NotedGate) -> None:
    """Let gates wait for the turn, in this order."""
    for gate in gates:
        turn.listen(gate)


# Taking the turn.


def test_first_thread_takes_the_turn(turn: ReadTurn, other_thread: OtherThread) -> None:
    """The first thread that asks has the turn, also when it asks again; another one does not get it."""
    before = turn.holder
    take(turn)
    take(turn)

    assert (before, turn.reader, turn.error is not None) == (None, 0, False)
    assert other_thread.run(turn.claim, 0, other_thread.ident) == get_ident()
    assert not other_thread.run(turn.take_to_read)
    assert turn.holder == get_ident()


def test_turn_to_receive_once(turn: ReadTurn, other_thread: OtherThread) -> None:
    """A free turn is taken to receive; after it was given back another thread may have it."""
    assert turn.take_to_read()
    assert turn.holder == get_ident()
    turn.hand_over()

    assert turn.holder is None
    assert other_thread.run(turn.take_to_read)
    assert turn.holder == other_thread.ident


def test_turn_of_a_thread_that_is_in_the_middle_of_reading(turn: ReadTurn) -> None:
    """A signal handler that interrupts the reading may not read, and its thread keeps the turn."""
    take(turn)
    turn.reader = get_ident()
    with turn.reading:
        assert not turn.take_to_read()

    assert turn.holder == get_ident()


def test_turn_while_a_thread_reads_without_it(turn: ReadTurn, other_thread: OtherThread) -> None:
    """While another thread reads without having the turn none is taken, so that the one that reads keeps its place."""
    with turn.reading:
        turn.reader = other_thread.ident
        assert not turn.take_to_read()

    assert turn.holder is None


# Giving it back.


def test_turn_is_handed_to_one_thread_that_waits(turn: ReadTurn) -> None:
    """Giving back the turn opens the gate of the thread that has waited longest, and no other."""
    gates = [NotedGate(), NotedGate()]
    take(turn)
    listen(turn, *gates)
    turn.hand_over()

    assert turn.holder is None
    assert [gate.openings for gate in gates] == [1, 0]
    assert list(turn.gates) == [gates[1]]


def test_turn_of_another_thread_is_left_alone(turn: ReadTurn, other_thread: OtherThread) -> None:
    """A thread without the turn gives nothing back, but a hand-over that is repeated wakes a thread all the same."""
    gate = NotedGate()
    other_thread.run(take, turn)
    listen(turn, gate)
    turn.hand_over()

    assert turn.holder == other_thread.ident
    assert gate.openings == 1


def test_turn_is_free_when_a_gate_opens(turn: ReadTurn) -> None:
    """The thread that is woken by a hand-over finds the turn free."""
    holders: list[int | None] = []
    take(turn)
    listen(turn, NotedGate(lambda: holders.append(turn.holder)))
    turn.hand_over()

    assert holders == [None]


def test_interrupt_while_the_turn_is_handed_over(turn: ReadTurn) -> None:
    """Wherever an interrupt comes, a second hand-over gives the turn back and wakes a thread."""

    def once(at: int) -> bool:
        gate = NotedGate()
        take(turn)
        listen(turn, gate)
        outcome = strike(turn.hand_over, at)
        turn.hand_over()
        assert (turn.holder, gate.openings > 0, turn.gates) == (None, True, {}), outcome
        return outcome.struck > 0

    assert places(once) > 5


# Listening, as threads do that wait for several connections.


def test_listening_tells_who_has_to_watch(turn: ReadTurn, other_thread: OtherThread) -> None:
    """A thread that listens is told whether any thread has the turn, or whether it has to watch the descriptor."""
    free = turn.listen(NotedGate())
    other_thread.run(take, turn)
    taken = turn.listen(NotedGate())

    assert (free, taken) == (True, False)
    assert list(turn.gates.values()) == [None, None]


def test_turn_that_is_offered_to_a_thread_that_leaves(turn: ReadTurn) -> None:
    """When a thread that listens leaves while the turn is free, the next thread is woken in its place."""
    gates = [NotedGate() for _ in range(3)]
    listen(turn, *gates)
    turn.forget(gates[0])

    assert [gate.openings for gate in gates] == [0, 1, 0]
    assert list(turn.gates) == [gates[2]]


def test_leaving_while_another_thread_has_the_turn(turn: ReadTurn, other_thread: OtherThread) -> None:
    """A thread that leaves wakes no other while the turn is in good hands; leaving twice does no harm."""
    gates = [NotedGate(), NotedGate()]
    other_thread.run(take, turn)
    listen(turn, *gates)
    for _ in range(2):
        turn.forget(gates[0])

    assert [gate.openings for gate in gates] == [0, 0]
    assert list(turn.gates) == [gates[1]]


# Gates.


def test_new_gate_is_closed(turn: ReadTurn, other_thread: OtherThread) -> None:
    """While another thread reads, a thread that comes to wait gets a closed gate of its own, kept with its call."""
    call = PendingCall()
    other_thread.run(take, turn)
    first, second = turn.new_gate(call), turn.new_gate(call)

    assert turn.gates == {first: call, second: call}
    assert not first.wait(0)
    assert not second.wait(0)


@pytest.mark.parametrize("why", ["answered", "over", "nobody reads"])
def test_new_gate_that_opens_at_once(turn: ReadTurn, other_thread: OtherThread, why: str) -> None:
    """A thread that comes when there is nothing to wait for gets an open gate, which no other thread has to open."""
    call = PendingCall()
    if why != "nobody reads":
        other_thread.run(take, turn)
    call.call_is_answered = why == "answered"
    turn.error = ConnectionLost("over") if why == "over" else None
    gate = turn.new_gate(call)

    assert gate.wait(0)
    assert turn.gates == {}


def test_opening_a_gate_forgets_it(turn: ReadTurn, other_thread: OtherThread) -> None:
    """An opened gate is open and forgotten, however often it is opened, and the others stay."""
    other_thread.run(take, turn)
    gate, other = turn.new_gate(PendingCall()), turn.new_gate(PendingCall())
    for _ in range(2):
        turn.open(gate)

    assert gate.wait(0)
    assert list(turn.gates) == [other]


def test_gate_is_open_before_it_is_forgotten(turn: ReadTurn) -> None:
    """An interrupt between the two leaves a gate that can be opened once more, and no thread behind a closed one."""
    known: list[bool] = []
    gate = NotedGate(lambda: known.append(gate in turn.gates))
    listen(turn, gate)
    turn.open(gate)

    assert known == [True]
    assert turn.gates == {}


def test_answer_opens_the_gates_of_its_call(turn: ReadTurn, other_thread: OtherThread) -> None:
    """An answer wakes every thread that waits for its call or for any call, and no thread that waits for another."""
    call, other, anything = PendingCall(), PendingCall(), NotedGate()
    other_thread.run(take, turn)
    gates = [turn.new_gate(call), turn.new_gate(other), turn.new_gate(call)]
    listen(turn, anything)
    turn.open_gates_of(call)

    assert [gate.wait(0) for gate in gates] == [True, False, True]
    assert anything.openings == 1
    assert list(turn.gates) == [gates[1]]


def test_answer_to_an_unknown_call_opens_all_gates(turn: ReadTurn, other_thread: OtherThread) -> None:
    """When it is not known whose answer came, as for a repetition, every thread looks for itself."""
    other_thread.run(take, turn)
    gates = [turn.new_gate(PendingCall()) for _ in range(3)]
    turn.open_gates_of(None)

    assert all(gate.wait(0) for gate in gates)
    assert turn.gates == {}


def test_interrupt_while_gates_are_opened(turn: ReadTurn, other_thread: OtherThread) -> None:
    """Wherever an interrupt comes while gates are opened, no gate is closed and forgotten, and a repetition opens all."""
    other_thread.run(take, turn)

    def once(at: int) -> bool:
        call = PendingCall()
        gates = [turn.new_gate(call) for _ in range(2)]
        outcome = strike(lambda: turn.open_gates_of(call), at)
        forgotten = [gate for gate in gates if gate not in turn.gates]
        assert all(gate.wait(0) for gate in forgotten), outcome
        turn.open_gates_of(call)
        assert all(gate.wait(0) for gate in gates if gate not in forgotten), outcome
        assert turn.gates == {}, outcome
        return outcome.struck > 0

    assert places(once) > 10


# Waiting at a gate.


def wait_at(turn: ReadTurn, gate: Any, deadline: float | None = None) -> bool:
    """Wait at a gate that is known to the turn."""
    turn.gates[gate] = PendingCall()
    return turn.wait_at(gate, deadline)


def test_open_gate_is_passed_at_once(turn: ReadTurn) -> None:
    """A thread whose gate is open goes on, and the gate is forgotten."""
    gate = ScriptedGate(True)

    assert wait_at(turn, gate)
    assert gate.timeouts == [1.0]
    assert turn.gates == {}


def test_thread_that_waits_is_woken(turn: ReadTurn, other_thread: OtherThread) -> None:
    """A thread behind a closed gate goes on when that is opened."""
    take(turn)
    call = PendingCall()
    waiting = other_thread.start(lambda: turn.wait_at(turn.new_gate(call)))
    wait_until(lambda: turn.gates)
    turn.open_gates_of(call)

    assert waiting.result(PATIENCE)
    assert turn.holder == get_ident()


def test_waiting_while_another_thread_reads(turn: ReadTurn, other_thread: OtherThread) -> None:
    """As long as another thread reads, a thread waits on and leaves the turn where it is."""
    other_thread.run(take, turn)
    gate = ScriptedGate(False, False, True)
    with turn.reading:
        assert wait_at(turn, gate)

    assert gate.timeouts == [1.0, 1.0, 1.0]
    assert turn.holder == other_thread.ident


def test_reader_that_begins_while_a_thread_looks_again(turn: ReadTurn, other_thread: OtherThread) -> None:
    """When reading begins between the two looks, the thread waits on and leaves the turn where it is."""
    other_thread.run(take, turn)

    def reading_begins() -> bool:
        turn.reading.acquire()
        return False

    gate = ScriptedGate(False, reading_begins, True)

    assert wait_at(turn, gate)
    assert gate.timeouts == [1.0, 0.05, 1.0]
    assert turn.holder == other_thread.ident


def test_turn_of_a_thread_that_does_not_read(turn: ReadTurn, other_thread: OtherThread) -> None:
    """When no thread reads at two looks, the turn is taken from the thread that was kept from handing it over."""
    other_thread.run(take, turn)
    gate = ScriptedGate(False, False)

    assert wait_at(turn, gate)
    assert gate.timeouts == [1.0, 0.05]
    assert turn.holder is None
    assert turn.gates == {}


def test_gate_that_opens_between_the_two_looks(turn: ReadTurn, other_thread: OtherThread) -> None:
    """A thread whose answer comes just while it looks whether anybody reads has its answer, and goes on."""
    other_thread.run(take, turn)
    gate = ScriptedGate(False, True)

    assert wait_at(turn, gate)
    assert turn.holder == other_thread.ident


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock by which deadlines run."""
    clock = Clock()
    monkeypatch.setattr(read_turn, "time", clock)
    monkeypatch.setattr(_deadlines, "time", clock)
    return clock


class ClockedGate(ScriptedGate):
    """A gate that stays closed: each attempt lasts as long as it may."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock

    def wait(self, seconds: float) -> bool:
        """Try to pass, in vain."""
        self.timeouts.append(seconds)
        self._clock.now += seconds
        return False


@pytest.mark.parametrize(("seconds", "expected"), [(2.5, [1.0, 1.0, 0.5]), (0.25, [0.25]), (0, [0.0])])
def test_deadline(
    turn: ReadTurn, clock: Clock, other_thread: OtherThread, seconds: float, expected: list[float]
) -> None:
    """A thread that waits with a deadline gives up then, not before and not after, and is forgotten."""
    other_thread.run(take, turn)
    gate = ClockedGate(clock)
    with turn.reading:
        assert not wait_at(turn, gate, clock.now + seconds)

    assert gate.timeouts == expected
    assert turn.gates == {}
    assert turn.holder == other_thread.ident


def test_gate_that_opens_before_the_deadline(turn: ReadTurn, clock: Clock) -> None:
    """A thread whose gate opens at its last look has not waited in vain."""

    def opens() -> bool:
        clock.now += 5
        return True

    assert wait_at(turn, ScriptedGate(opens), clock.now + 5)


def test_turn_that_is_offered_at_the_deadline(turn: ReadTurn, clock: Clock) -> None:
    """A thread that gives up while the turn is free wakes the next one."""
    gate, after = ClockedGate(clock), NotedGate()
    listen(turn, gate, after)

    assert not wait_at(turn, gate, clock.now)
    assert (gate.openings, after.openings) == (0, 1)


def test_interrupt_of_a_thread_that_waits(turn: ReadTurn) -> None:
    """A thread that is interrupted may have been handed the turn just then: it wakes the next one and is forgotten."""

    def interrupted() -> bool:
        raise Struck

    gate, others = ScriptedGate(interrupted), [NotedGate(), NotedGate()]
    turn.gates[gate] = PendingCall()
    listen(turn, *others)
    with pytest.raises(Struck):
        turn.wait_at(gate)  # type: ignore[arg-type]

    assert (gate.openings, [other.openings for other in others]) == (0, [1, 0])
    assert list(turn.gates) == [others[1]]


# Turns of a whole session.


def test_threads_share_the_reading(server: HandMadeServer) -> None:
    """One thread reads for all; each gets its own answer, in whatever order they come."""
    first = start_reader(server)
    responses = [server.request() for _ in range(5)]
    waiters = [Waiter(response) for response in responses]
    wait_until(lambda: len(server.session.turn.gates) == 5)
    for number in (3, 0, 4):
        server.answer(responses[number], value=number)
    early = [waiters[number].result() for number in (3, 0, 4)]
    server.answer(first.response, value="first")
    late = [first.result()]
    for number in (2, 1):
        server.answer(responses[number], value=number)
        late.append(waiters[number].result())

    assert early == [3, 0, 4]
    assert late == ["first", 2, 1]
    assert not server.session.turn.gates
    assert server.session.turn.holder is None


def test_threads_that_wait_for_the_same_answer(server: HandMadeServer) -> None:
    """Any number of threads may wait for one response, whichever of them reads."""
    start_reader(server)
    response = server.request()
    waiters = [Waiter(response) for _ in range(4)]
    wait_until(lambda: len(server.session.turn.gates) == 4)
    server.answer(response)

    assert [waiter.result() for waiter in waiters] == ["value"] * 4


def test_thread_that_does_not_come_back(
    server: HandMadeServer, other_thread: OtherThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the thread whose turn it is was kept from handing it over, another one takes it after a while."""
    monkeypatch.setattr(read_turn, "_FIRST_CHECK", 0.01)
    other_thread.run(take, server.session.turn)
    response = server.request()
    waiter = Waiter(response)
    server.answer(response)

    assert waiter.result() == "value"


def test_turn_that_is_offered_to_a_listener_that_leaves(
    server: HandMadeServer, other_thread: OtherThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The turn may be offered to a gate that leaves instead: then the next thread reads."""
    monkeypatch.setattr(read_turn, "_FIRST_CHECK", 2 * PATIENCE)
    turn = server.session.turn
    other_thread.run(take, turn)
    gate = NotedGate()
    watches = turn.listen(gate)
    response = server.request()
    waiter = Waiter(response)
    wait_until(lambda: len(turn.gates) == 2)
    other_thread.run(turn.hand_over)
    released = gate.openings
    turn.forget(gate)
    server.answer(response)

    assert (watches, released, waiter.result()) == (False, 1, "value")


def test_end_of_the_time_of_a_thread_that_waits(server: HandMadeServer) -> None:
    """A wait with a limit ends when another thread reads, too, and leaves no gate behind."""
    start_reader(server)
    response = server.request()
    server.session.wait(response, deadline=0.0)

    assert not response.have_response
    assert not server.session.turn.gates


def test_interrupt_of_a_thread_that_reads_for_others(
    server: HandMadeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever a thread is interrupted that reads for others, another one gets its answer, and the first may come
    back for its own."""
    monkeypatch.setattr(read_turn, "_FIRST_CHECK", 0.01)
    monkeypatch.setattr(read_turn, "_SECOND_CHECK", 0.01)

    def once(at: int) -> bool:
        own, other = server.request(), server.request()
        server.answer(own, other)
        outcome = strike(lambda: server.session.wait(own), at)
        assert Waiter(other).result() == "value", outcome
        assert own.wait() == "value", outcome
        return outcome.struck > 0

    assert places(once) > 40
