"""The master's side of a connection, with a server that the test plays by hand."""

from __future__ import annotations

import pickle
import threading
from typing import Any
from unittest.mock import Mock

import pytest

from easycluster_client._calls.response import NonblockingResponse
from easycluster_client._session import read_turn, session as session_module
from easycluster_client._session.pending import PendingCall
from easycluster_protocol._wire import messages as m
from easycluster_protocol._wire.messages import Message
from easycluster_protocol.errors import LocalProtocolError
from easycluster_server._io.transport import wait
from helpers.client_states import give_turn, hand_over_for_another, in_the_middle_of_reading, take_turn_away
from helpers.hand_made import HandMadeServer, Waiter, start_reader
from helpers.waiting import PATIENCE, wait_until

# Turns.


def test_threads_share_the_reading(server: HandMadeServer) -> None:
    """One thread reads for all; each gets its own answer, in whatever order they come."""
    first = start_reader(server)
    responses = [server.request() for _ in range(5)]
    waiters = [Waiter(response) for response in responses]
    wait_until(lambda: len(server.session.turn.gates) == 5)
    for number in (3, 0, 4):
        server.answer(responses[number], value=number)
    early = [waiters[number].result() for number in (3, 0, 4)]
    server.answer(first._response, value="first")
    late = [first.result()]
    for number in (2, 1):
        server.answer(responses[number], value=number)
        late.append(waiters[number].result())

    assert early == [3, 0, 4]
    assert late == ["first", 2, 1]
    assert not server.session.turn.gates
    assert server.session.turn.holder is None


def test_threads_that_wait_for_the_same_answer(server: HandMadeServer) -> None:
    """Any number of threads may wait for one response, whoever reads."""
    start_reader(server)
    response = server.request()
    waiters = [Waiter(response) for _ in range(4)]
    wait_until(lambda: len(server.session.turn.gates) == 4)
    server.answer(response)

    assert [waiter.result() for waiter in waiters] == ["value"] * 4


class LookingGate:
    """Looks, when it opens, what whoever waits at it would find."""

    def __init__(self, server: HandMadeServer, told: list[PendingCall]) -> None:
        self._server, self._told = server, told
        self.found: list[tuple[int, int]] = []

    def open(self) -> None:
        """Open it."""
        self.found.append((len(self._told), len(self._server.session.arrived)))


def test_gates_open_last(server: HandMadeServer) -> None:
    """Who is woken by an answer finds that its watchers were told and that its completion can be called."""
    told: list[PendingCall] = []
    response = server.request()
    response.add_watcher(told.append)
    gate = LookingGate(server, told)
    server.session.turn.listen(gate)
    server.answer(response)
    server.session.read(True)

    assert gate.found == [(1, 1)]


def test_answer_that_comes_again_opens_all_gates(server: HandMadeServer) -> None:
    """When an interrupt came between taking an answer and opening the gates, its repetition opens them."""
    response, other = server.request(), server.request()
    give_turn(server.session.turn)
    gate = server.session.turn.new_gate(other)
    server.answer(response, response)
    take_turn_away(server.session.turn)
    server.session.read(True)

    assert gate.wait(0)


def test_thread_that_does_not_come_back(server: HandMadeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the thread whose turn it is was kept from handing it over, another one takes it after a while."""
    monkeypatch.setattr(read_turn, "_FIRST_CHECK", 0.01)
    give_turn(server.session.turn)
    response = server.request()
    waiter = Waiter(response)
    server.answer(response)

    assert waiter.result() == "value"


def test_thread_that_reads_for_long(server: HandMadeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that really reads keeps its turn, however often another looks for it while nothing comes."""
    looks: list[float] = []

    def note_look(seconds: float, deadline: float | None) -> float:
        looks.append(seconds)
        return 0.001

    monkeypatch.setattr(read_turn, "_limit_wait", note_look)
    reader = start_reader(server)
    response = server.request()
    waiter = Waiter(response)
    wait_until(lambda: len(looks) > 10 or server.session.turn.holder != reader.ident)
    whose = server.session.turn.holder
    server.answer(response)
    waiter.result()

    assert whose == reader.ident
    assert server.session.turn.holder == reader.ident


@pytest.mark.parametrize("block", [True, False])
def test_reading_without_waiting_for_an_answer(server: HandMadeServer, block: bool) -> None:
    """`read` takes in what is there, but not while another thread reads."""
    response = server.request()
    if not block:
        assert not server.session.read(block=False)
    server.answer(response)
    wait_until(lambda: server.session.read(block=block))
    start_reader(server)

    assert response.have_response
    assert not server.session.read(block=block)


def test_signal_handler_that_waits(server: HandMadeServer) -> None:
    """A handler that waits for an answer while its own thread reads gets an error, and does not hang."""
    session = server.session
    response = server.request()
    with in_the_middle_of_reading(session.turn):
        with pytest.raises(RuntimeError, match="a signal handler cannot wait"):
            response.wait()
    server.answer(response)

    assert response.wait() == "value"


class Gate:
    """Is told what a thread is told that waits for several connections."""

    def __init__(self) -> None:
        self.openings = 0

    def open(self) -> None:
        self.openings += 1


def test_turn_that_is_offered_to_a_thread_that_leaves(
    server: HandMadeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread that listens may be offered the turn; when it leaves instead, the next thread takes it."""
    monkeypatch.setattr(read_turn, "_FIRST_CHECK", 2 * PATIENCE)
    session = server.session
    give_turn(session.turn)
    gate = Gate()
    is_free = session.turn.listen(gate)
    response = server.request()
    waiter = Waiter(response)
    wait_until(lambda: len(session.turn.gates) == 2)
    hand_over_for_another(session.turn)
    openings = gate.openings
    session.turn.forget(gate)
    server.answer(response)

    assert (is_free, openings, waiter.result()) == (False, 1, "value")


def test_end_of_the_time_of_a_thread_that_waits(server: HandMadeServer) -> None:
    """A wait with a limit ends when another thread reads, too, and leaves no gate behind."""
    start_reader(server)
    response = server.request()
    server.session.wait(response, deadline=0.0)

    assert not response.have_response
    assert len(server.session.turn.gates) == 0


# Sending.


def test_sender_reads_when_nobody_else_does(server: HandMadeServer) -> None:
    """A thread that cannot send begins to read when the thread that read has its answer, or both ends would be stuck."""
    reader = start_reader(server)
    large = server.request()
    blocked = threading.Event()

    def serve() -> None:
        # This server reads nothing more until its own answers are gone.
        blocked.wait(PATIENCE)
        server.answer(reader._response)
        reader.result()
        server.answer(large, value=bytes(20_000_000))
        server.receive(3)

    thread = threading.Thread(target=serve)
    thread.start()

    def note_wait(*arguments: Any) -> tuple[bool, bool]:
        blocked.set()
        return wait(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session_module, "wait", note_wait)
        server.request(bytes(20_000_000))
    thread.join(PATIENCE)

    assert not thread.is_alive()
    assert large.wait() == bytes(20_000_000)


def test_call_that_no_message_can_carry(server: HandMadeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that cannot be sent raises, and costs nothing else."""
    monkeypatch.setattr("easycluster_protocol._wire.messages.MAX_TABLE_ENTRIES", 1)
    response = NonblockingResponse(server._client, "f", server.session)
    with pytest.raises(LocalProtocolError):
        server.session.request(response, m.CALL, b"", [bytes(40_000)] * 2, 0)
    other = server.request()
    server.answer(other)

    assert other.wait() == "value"
    assert not server.session._calls.by_number


@pytest.mark.parametrize("where", ["send", "receive"])
def test_timeout_error_of_a_signal_handler(
    server: HandMadeServer, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """A handler that raises TimeoutError, which is an OSError, abandons its call and not the connection."""

    def late(*arguments: Any) -> None:
        raise TimeoutError("too late")

    response = server.request()
    monkeypatch.setattr(server.session._channel, where, late)
    with pytest.raises(TimeoutError, match="too late"):
        server.request().wait()
    monkeypatch.undo()
    server.answer(response)

    assert response.wait() == "value"
    assert server.session.error is None


# Receiving.


def test_answer_that_is_delivered_twice(server: HandMadeServer) -> None:
    """A repetition, as after an interrupt, completes a call once and changes nothing."""
    response = server.request(oncomplete=print)
    message = Message(m.RESULT, response.request_id, pickle.dumps(1))
    for _ in range(2):
        server.session._deliver(message)
    server.session._deliver(Message(m.RESULT, 99, pickle.dumps(2)))

    assert server.session.arrived == [response]
    assert response.wait() == 1


def test_what_the_server_says_of_a_call(server: HandMadeServer) -> None:
    """A query is answered for the call that it names; what it does not know, and calls that are over, change nothing."""
    responses = [server.request() for _ in range(2)]
    for response in responses:
        server.session.query_status(response)
    queries = server.receive(4)[2:]
    server.send(*(Message(m.STATUS, *more) for more in ((1, m.STARTED), (2, b"later"), (9, m.STARTED))))
    server.session.read(block=True)

    assert [(each.kind, each.request) for each in queries] == [(m.STATUS_QUERY, 1), (m.STATUS_QUERY, 2)]
    assert [response.is_started for response in responses] == [True, False]


def test_asking_a_server_that_has_gone(server: HandMadeServer) -> None:
    """A question that cannot be asked any more is no error; what a signal handler raises meanwhile is."""
    response = server.request()
    server.socket.close()
    server.session.query_status(response)

    assert not response.is_started
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server.session._channel, "send_at_once", Mock(side_effect=TimeoutError("too late")))
        with pytest.raises(TimeoutError, match="too late"):
            server.session.query_status(response)


def test_ping(server: HandMadeServer) -> None:
    """A ping is answered when it is read."""
    server.send(Message(m.PING, 7))
    server.session.read(block=True)

    assert server.receive(1) == [Message(m.PONG, 7)]
