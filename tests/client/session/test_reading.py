"""Waiting for answers, and reading without waiting for one: which thread reads, how long, and what it leaves."""

from __future__ import annotations

import socket
from collections.abc import Callable
from threading import get_ident
from typing import Any

import pytest

from easycluster_client import _deadlines
from easycluster_client._session import reading
from easycluster_client._session.pending import PendingCall
from easycluster_client._session.session import ClientSession
from easycluster_protocol._wire import messages as m
from easycluster_protocol._wire.messages import Message
from easycluster_protocol.errors import ConnectionLost
from helpers.checkpoints import Struck, places, strike
from helpers.clocks import Clock
from helpers.hand_made import (
    HandMadeServer,
    drop_proxies,
    note_receptions,
    raise_timeout,
    send_call,
    start_reader,
)
from helpers.other_thread import OtherThread
from helpers.waiting import PATIENCE, wait_until
from helpers.waits import NotedWait


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock by which deadlines run."""
    clock = Clock()
    monkeypatch.setattr(_deadlines, "time", clock)
    return clock


@pytest.fixture
def noted(server: HandMadeServer, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> NotedWait:
    """The waits of the session: each takes all of its time, unless there is something to read."""

    def check() -> None:
        assert server.session.turn.reading.locked()
        assert server.session.turn.reader == get_ident()

    noted = NotedWait(check, clock.wait)
    monkeypatch.setattr(reading, "wait", noted)
    return noted


def test_waiting_for_an_answer_that_is_there(server: HandMadeServer, other_thread: OtherThread) -> None:
    """A call that has its answer is not waited for, whichever thread reads."""
    call = send_call(server)
    call.call_is_answered = True
    assert other_thread.run(server.session.turn.take_to_read)
    server.session.wait(call)

    assert server.session.turn.holder == other_thread.ident


def test_waiting_until_the_answer_comes(server: HandMadeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that waits reads until its own answer is there, asleep in the kernel, leaves the rest unread and gives
    back the turn."""
    receptions = note_receptions(server, monkeypatch)
    responses = [server.request() for _ in range(3)]
    server.answer(responses[0])
    for response in responses[1:]:
        server.answer(response, value=bytes(50_000))
    server.session.wait(responses[1])

    assert [each.have_response for each in responses] == [True, True, False]
    assert set(receptions) == {True}
    assert server.session.turn.holder is None
    assert server.session.turn.reader == 0
    assert not server.session.turn.reading.locked()


@pytest.mark.parametrize("deadline", [None, float("inf")])
def test_waiting_ends_for_completion_functions(server: HandMadeServer, deadline: float | None) -> None:
    """A thread that has read an answer with completion functions ceases to wait so that they are called, or waits on
    if it is told to."""
    completed, waited = server.request(oncomplete=print), server.request()
    server.answer(completed)
    server.session.wait(waited, deadline)
    before = (completed.have_response, waited.have_response, server.session.turn.holder)
    server.answer(waited)
    server.session.wait(waited, deadline, keep_waiting=True)

    assert before == (True, False, None)
    assert waited.have_response
    assert server.session.arrived == [completed]


def test_waiting_does_not_begin_before_completion_functions(server: HandMadeServer) -> None:
    """Where completion functions are to be called already, nothing is read before that."""
    completed, waited = server.request(oncomplete=print), server.request()
    server.answer(completed)
    server.session.read(block=True)
    server.answer(waited)
    server.session.wait(waited)

    assert not waited.have_response


def test_waiting_with_a_deadline(server: HandMadeServer, clock: Clock, noted: NotedWait) -> None:
    """A thread that waits with a deadline gives up then, and gives back the turn; the answer may come later."""
    response = server.request()
    server.session.wait(response, clock.now + 5)
    now = clock.now
    server.answer(response)
    server.session.wait(response, clock.now)

    assert noted.calls == [(server.session.transport.fileno(), -1, 5.0)]
    assert server.session.turn.reader == 0
    assert now == 1005.0
    assert response.have_response
    assert server.session.turn.holder is None


def test_waiting_until_a_deadline_that_is_over(
    server: HandMadeServer, clock: Clock, noted: NotedWait
) -> None:
    """A deadline that is over lets nothing be waited for."""
    response = server.request()
    server.session.wait(response, clock.now)

    assert not response.have_response
    assert noted.timeouts == []


def test_deadline_that_is_not_reached(server: HandMadeServer, clock: Clock, noted: NotedWait) -> None:
    """An answer that comes in time ends the waiting, although others come before."""
    responses = [server.request() for _ in range(2)]
    server.answer(responses[0])
    server.answer(responses[1])
    server.session.wait(responses[1], clock.now + 5)

    assert all(response.have_response for response in responses)
    assert clock.now == 1000.0
    assert noted.timeouts == []


def test_other_messages_before_the_deadline(server: HandMadeServer, clock: Clock, noted: NotedWait) -> None:
    """What else comes before the deadline is read, and the rest of the time is waited for the answer."""
    response = server.request()

    def send() -> None:
        clock.now += 1
        if len(noted.calls) == 1:
            server.send(Message(m.PING, 1))
        else:
            server.answer(response)

    noted.act = send
    server.session.wait(response, clock.now + 5)

    assert response.have_response
    assert noted.timeouts == [5.0, 4.0]


@pytest.mark.parametrize("deadline", [None, float("inf")])
def test_waiting_ends_with_the_connection(server: HandMadeServer, deadline: float | None) -> None:
    """A thread that waits while the connection ends gets the error of its call."""
    response = server.request()
    server.socket.shutdown(socket.SHUT_WR)
    server.session.wait(response, deadline)

    assert str(response.call_loss) == (
        "the connection ended (the server); the call of f was sent, and may have been run"
    )
    assert server.session.turn.holder is None


def test_waiting_for_a_call_after_the_end(server: HandMadeServer) -> None:
    """A call that the end of the connection did not know is lost when it is waited for."""
    call = PendingCall()
    server.session.close("closed")
    server.session.wait(call)

    assert str(call.call_loss) == "closed"
    assert call.call_loss is not server.session.error


def test_interrupt_of_a_timed_wait(server: HandMadeServer, clock: Clock, noted: NotedWait) -> None:
    """An interrupt that comes while a thread waits with a deadline leaves the reading to others."""

    def interrupted() -> None:
        raise Struck

    noted.act = interrupted
    with pytest.raises(Struck):
        server.session.wait(send_call(server), clock.now + 5)

    assert server.session.turn.reader == 0
    assert not server.session.turn.reading.locked()
    assert server.session.turn.holder is None


def test_signal_handler_that_waits(server: HandMadeServer) -> None:
    """A handler that waits for an answer while its own thread reads gets an error, and does not hang."""
    session = server.session
    session.turn.claim(0, get_ident())
    session.turn.reader = get_ident()
    response = server.request()
    with session.turn.reading:
        with pytest.raises(
            RuntimeError,
            match="^a signal handler cannot wait for an answer while it interrupts the reading: set a flag",
        ):
            session.wait(response)
    kept = session.turn.holder
    session.turn.reader = 0
    server.answer(response)

    assert response.wait() == "value"
    assert kept == get_ident()


def test_thread_that_waits_beside_a_reader(server: HandMadeServer, clock: Clock) -> None:
    """A thread that waits while another one has the turn is woken by its answer; when its time is over it gives up."""
    reader = start_reader(server)
    response = server.request()
    server.session.wait(response, 0.0)
    gates = dict(server.session.turn.gates)
    server.answer(reader.response)

    assert reader.result() == "value"
    assert (response.have_response, gates) == (False, {})


def test_thread_that_waits_until_its_answer_is_read(
    server: HandMadeServer, other_thread: OtherThread
) -> None:
    """A thread that waits while another one reads goes on when its own answer is there, and not before: when the turn is
    free it reads itself."""
    reader = start_reader(server)
    call = send_call(server)
    waiting = other_thread.start(server.session.wait, call)
    wait_until(lambda: server.session.turn.gates)
    server.answer(reader.response)
    reader.result()
    wait_until(lambda: server.session.turn.holder == other_thread.ident)
    before = (waiting.done(), call.call_is_answered)
    server.send(Message(m.RESULT, call.request_id, b"N."))
    waiting.result(PATIENCE)

    assert before == (False, False)
    assert call.call_is_answered


class AnsweringLock:
    """Stands for the lock of reading: another thread has read the answer until this one has it."""

    def __init__(self, call: PendingCall) -> None:
        self._call = call

    def __enter__(self) -> None:
        self._call.call_is_answered = True

    def __exit__(self, *error: object) -> None:
        pass

    def locked(self) -> bool:
        """Return whether it is locked."""
        return False


@pytest.mark.parametrize("deadline", [None, float("inf")])
def test_answer_that_another_thread_has_read_just_now(
    server: HandMadeServer, noted: NotedWait, monkeypatch: pytest.MonkeyPatch, deadline: float | None
) -> None:
    """A thread that comes to read when its answer has been read neither receives nor waits."""
    call = send_call(server)
    monkeypatch.setattr(server.session.turn, "reading", AnsweringLock(call))
    monkeypatch.setattr(server.session._channel, "receive", raise_timeout)
    server.session.wait(call, deadline)

    assert noted.calls == []
    assert server.session.turn.holder is None


def test_interrupt_while_a_thread_waits(server: HandMadeServer) -> None:
    """Wherever a thread is interrupted that waits for an answer, it can wait again, and the reading is free then."""

    def once(at: int) -> bool:
        response = server.request()
        server.answer(response)
        outcome = strike(lambda: server.session.wait(response), at)
        server.session.wait(response)
        assert response.have_response, outcome
        assert not server.session.turn.reading.locked(), outcome
        assert server.session.turn.reader == 0, outcome
        return outcome.struck > 0

    assert places(once) > 20


# Reading without waiting for an answer.


@pytest.mark.parametrize("block", [True, False])
def test_reading(server: HandMadeServer, block: bool) -> None:
    """`read` takes in what is there, says whether anything was, and gives back the turn."""
    response = server.request()
    nothing = server.session.read(block=False)
    server.answer(response)

    assert server.session.read(block=block)
    assert not nothing
    assert response.have_response
    assert server.session.turn.holder is None


@pytest.mark.parametrize("block", [True, False])
def test_reading_beside_another_thread(
    server: HandMadeServer, other_thread: OtherThread, block: bool
) -> None:
    """`read` leaves the reading to the thread that has the turn."""
    response = server.request()
    server.answer(response)
    assert other_thread.run(server.session.turn.take_to_read)

    assert not server.session.read(block=block)
    assert not response.have_response
    assert server.session.turn.holder == other_thread.ident


def test_reading_at_the_end(server: HandMadeServer) -> None:
    """`read` raises the end of the connection that it finds, and that it knows already."""
    server.socket.close()
    errors: list[BaseException] = []
    for _ in range(2):
        with pytest.raises(ConnectionLost, match=r"^the connection ended \(the server\)$") as caught:
            server.session.read(block=True)
        errors.append(caught.value)

    assert errors[0] is not errors[1]
    assert server.session.turn.holder is None


def test_reading_after_the_end_beside_another_thread(
    server: HandMadeServer, other_thread: OtherThread
) -> None:
    """`read` raises the end of the connection also while another thread has the turn."""
    assert other_thread.run(server.session.turn.take_to_read)
    server.session.close("closed")
    with pytest.raises(ConnectionLost, match="^closed$"):
        server.session.read(block=False)


def test_receiving_what_is_there(server: HandMadeServer, other_thread: OtherThread) -> None:
    """`receive_available` waits for nothing, gives back objects, and says whether the reading is up to this thread."""
    session = server.session
    response = server.request()
    nothing = session.receive_available()
    drop_proxies(server, 5)
    server.answer(response)
    first = session.receive_available()
    holder = session.turn.holder
    assert other_thread.run(session.turn.take_to_read)
    second = session.receive_available()

    assert (nothing, first, second) == (True, True, False)
    assert response.have_response
    assert holder is None
    assert session.turn.holder == other_thread.ident
    assert [message.releases for message in server.receive(2)] == [(), [(5, 1)]]


def test_receiving_after_the_end(server: HandMadeServer, other_thread: OtherThread) -> None:
    """Where the connection has ended there is nothing to receive, for no thread; finding the end raises nothing."""
    server.socket.close()
    found = server.session.receive_available()
    assert other_thread.run(server.session.turn.take_to_read)

    assert (found, server.session.receive_available()) == (True, True)
    assert str(server.session.error) == "the connection ended (the server)"


@pytest.mark.parametrize(
    "act", [lambda session: session.read(True), lambda session: session.receive_available()]
)
def test_turn_is_given_back_after_an_error(
    server: HandMadeServer, monkeypatch: pytest.MonkeyPatch, act: Callable[[ClientSession], object]
) -> None:
    """An error of a signal handler that comes while something is received leaves the turn and the lock free."""
    monkeypatch.setattr(server.session._channel, "receive", raise_timeout)
    with pytest.raises(TimeoutError, match="too late"):
        act(server.session)

    assert server.session.turn.holder is None
    assert server.session.turn.reader == 0
    assert not server.session.turn.reading.locked()
    assert server.session.error is None


def test_thread_that_reads_is_known(server: HandMadeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """While something is received the lock is held, and the thread that reads is known by name."""
    found: list[tuple[bool, int, Any]] = []
    turn = server.session.turn

    def note(deliver: Any, block: bool) -> bool:
        found.append((turn.reading.locked(), turn.reader, block))
        return True

    monkeypatch.setattr(server.session._channel, "receive", note)
    server.session.read(block=True)
    server.session.read(block=False)

    assert found == [(True, get_ident(), True), (True, get_ident(), False)]
    assert turn.reader == 0
