"""Messages that have arrived: what a session does with each, and with those that arrive twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from easycluster_client._session.delivery import Delivery
from easycluster_client._session.pending import PendingCall, PendingCalls
from easycluster_client._session.read_turn import ReadTurn
from easycluster_protocol._wire import messages as m
from easycluster_protocol._wire.messages import Message
from helpers.checkpoints import places, strike
from helpers.gates import NotedGate
from helpers.hand_made import HandMadeServer

if TYPE_CHECKING:
    from easycluster_client._session.references import References
    from easycluster_server._io.channel import Channel


class FakeReferences:
    """Stands for the receipts of a connection: notes what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Message]] = []

    def note(self, message: Message) -> None:
        """Take the receipts of an answer."""
        self.told.append(("note", message))

    def note_ahead(self, message: Message) -> None:
        """Take the numbers that come before an answer."""
        self.told.append(("note_ahead", message))


class FakeChannel:
    """Stands for the channel: notes what is left to it."""

    def __init__(self) -> None:
        self.posted: list[Message] = []

    def post(self, message: Message) -> None:
        """Send a message sooner or later."""
        self.posted.append(message)


class Arrivals:
    """A delivery and all that it works with; one call, number 5, is under way."""

    def __init__(self) -> None:
        self.calls = PendingCalls()
        self.turn = ReadTurn()
        self.references = FakeReferences()
        self.channel = FakeChannel()
        self.call = PendingCall()
        self.calls.by_number[5] = self.call
        self.deliver = Delivery(
            self.calls, self.turn, cast("References", self.references), cast("Channel", self.channel)
        ).deliver


@pytest.fixture
def arrivals() -> Arrivals:
    """Everything that a delivery needs."""
    return Arrivals()


@pytest.mark.parametrize("kind", [m.RESULT, m.FAILURE])
def test_answer(arrivals: Arrivals, kind: int) -> None:
    """A result or failure is the answer of the call that it names, which is under way no more."""
    message = Message(kind, 5, b"body")
    arrivals.deliver(message)

    assert arrivals.call.call_is_answered
    assert arrivals.call.call_answer is message
    assert (arrivals.calls.by_number, arrivals.calls.arrived) == ({}, [])
    assert (arrivals.references.told, arrivals.channel.posted) == ([], [])


def test_first_answer_counts(arrivals: Arrivals) -> None:
    """An answer that comes again, while its call is still known, changes nothing in it."""
    first = Message(m.RESULT, 5, b"first")
    arrivals.deliver(first)
    arrivals.calls.by_number[5] = arrivals.call  # an interrupt kept it from being taken out
    arrivals.deliver(Message(m.FAILURE, 5, b"second"))

    assert arrivals.call.call_answer is first
    assert arrivals.calls.by_number == {}


def test_answer_of_a_watched_call(arrivals: Arrivals) -> None:
    """The watchers of a call find its answer when they are told, and the call is to be completed then."""
    found: list[Message | None] = []
    arrivals.call.call_add_watcher(lambda call: found.append(call.call_answer))
    message = Message(m.RESULT, 5)
    for _ in range(2):
        arrivals.deliver(message)

    assert found == [message]
    assert arrivals.calls.arrived == [arrivals.call]


@pytest.mark.parametrize("request_id", [0, 4, 6])
def test_answer_to_an_unknown_call(arrivals: Arrivals, request_id: int) -> None:
    """An answer to a call that is not under way changes no call."""
    arrivals.deliver(Message(m.RESULT, request_id))

    assert not arrivals.call.call_is_answered
    assert arrivals.calls.by_number == {5: arrivals.call}


@pytest.mark.parametrize("request_id", [5, 6])
def test_answer_that_names_objects(arrivals: Arrivals, request_id: int) -> None:
    """The receipts of an answer are taken, whether its call is known or not."""
    message = Message(m.RESULT, request_id, references=[7])
    arrivals.deliver(message)

    assert arrivals.references.told == [("note", message)]


def test_receipts_are_taken_before_the_answer_is_seen(arrivals: Arrivals) -> None:
    """A thread that finds the answer finds its receipts taken."""
    found: list[list[Any]] = []
    arrivals.call.call_add_watcher(lambda _: found.append(list(arrivals.references.told)))
    message = Message(m.RESULT, 5, references=[7])
    arrivals.deliver(message)

    assert found == [[("note", message)]]


def test_objects_that_are_named_ahead(arrivals: Arrivals) -> None:
    """Numbers of objects that come before an answer are kept for it."""
    message = Message(m.REFERENCES, 5, references=[7])
    arrivals.deliver(message)

    assert arrivals.references.told == [("note_ahead", message)]
    assert not arrivals.call.call_is_answered


def test_ping(arrivals: Arrivals) -> None:
    """A ping is answered with its own token."""
    arrivals.deliver(Message(m.PING, 77))

    assert arrivals.channel.posted == [Message(m.PONG, 77)]


@pytest.mark.parametrize(("body", "expected"), [(m.STARTED, True), (b"", False), (b"later", False)])
def test_status(arrivals: Arrivals, body: bytes, expected: bool) -> None:
    """A status says of the call that it names whether a thread has begun it."""
    arrivals.call.call_is_started = not expected
    arrivals.deliver(Message(m.STATUS, 5, body))

    assert arrivals.call.call_is_started is expected
    assert not arrivals.call.call_is_answered


def test_status_of_a_call_that_is_over(arrivals: Arrivals) -> None:
    """A status that comes after the answer changes nothing."""
    arrivals.deliver(Message(m.STATUS, 6, m.STARTED))

    assert not arrivals.call.call_is_started


@pytest.mark.parametrize("kind", [m.CLOSE, m.CREDIT, m.PONG])
def test_messages_that_ask_for_nothing(arrivals: Arrivals, kind: int) -> None:
    """The end of a stream, credit and signs of life change nothing."""
    arrivals.deliver(Message(kind, 5, m.STARTED))

    assert (arrivals.call.call_is_answered, arrivals.call.call_is_started) == (False, False)
    assert (arrivals.channel.posted, arrivals.references.told) == ([], [])
    assert arrivals.calls.by_number == {5: arrivals.call}


def test_answer_wakes_the_threads_that_wait_for_it(arrivals: Arrivals) -> None:
    """An answer opens the gates of its own call, and those of threads that wait for any answer."""
    gates = [NotedGate() for _ in range(3)]
    arrivals.turn.gates.update({gates[0]: arrivals.call, gates[1]: PendingCall(), gates[2]: None})
    arrivals.deliver(Message(m.RESULT, 5))

    assert [gate.openings for gate in gates] == [1, 0, 1]


def test_gates_open_last(arrivals: Arrivals) -> None:
    """A thread that is woken by an answer finds the answer, its watchers told and the call ready to be completed."""
    told: list[PendingCall] = []
    found: list[tuple[bool, int, int]] = []
    arrivals.call.call_add_watcher(told.append)
    arrivals.turn.listen(
        NotedGate(
            lambda: found.append((arrivals.call.call_is_answered, len(told), len(arrivals.calls.arrived))),
        )
    )
    arrivals.deliver(Message(m.RESULT, 5))

    assert found == [(True, 1, 1)]


def test_answer_that_comes_again_opens_all_gates(arrivals: Arrivals) -> None:
    """When an interrupt came between taking an answer and opening the gates, its repetition opens them."""
    gate = NotedGate()
    arrivals.deliver(Message(m.RESULT, 5))
    arrivals.turn.gates[gate] = PendingCall()
    arrivals.deliver(Message(m.RESULT, 5))

    assert gate.openings == 1


@pytest.mark.parametrize("watched", [False, True])
def test_interrupt_while_an_answer_is_delivered(watched: bool) -> None:
    """Wherever an interrupt comes, the second delivery of the answer leaves everything as one alone would."""

    def once(at: int) -> bool:
        arrivals = Arrivals()
        told: list[PendingCall] = []
        if watched:
            arrivals.call.call_add_watcher(told.append)
        gate = NotedGate()
        arrivals.turn.gates[gate] = arrivals.call
        message = Message(m.RESULT, 5, references=[7])
        outcome = strike(lambda: arrivals.deliver(message), at)
        if outcome.struck:
            arrivals.deliver(message)
        assert arrivals.call.call_answer is message, outcome
        assert arrivals.call.call_is_answered, outcome
        assert arrivals.calls.by_number == {}, outcome
        assert arrivals.calls.arrived == [arrivals.call] * watched, outcome
        assert bool(told) is watched, outcome
        assert gate.openings > 0, outcome
        return outcome.struck > 0

    assert places(once) > 5


def test_answers_of_a_real_server_arrive_once(server: HandMadeServer) -> None:
    """An answer that a server sends twice is read as one, and its call is completed once."""
    response = server.request(oncomplete=print)
    server.answer(response, response)
    while server.session.read(block=False):
        pass

    assert server.session.arrived == [response]
    assert response.wait() == "value"
    assert server.session.outstanding == 1
