"""Delivery of messages: an answer is noted in its call, and the thread that waits for it is woken."""

from __future__ import annotations

from easycluster_protocol._wire import messages as m
from easycluster_protocol._wire.messages import Message
from easycluster_server._io.channel import Channel

from .pending import PendingCalls
from .read_turn import ReadTurn
from .references import References

_ANSWERS = frozenset((m.RESULT, m.FAILURE))


class Delivery:
    """Delivers the messages of one connection.

    Args:
        calls: the calls that answers belong to.
        turn: where threads wait for answers.
        references: takes the receipts of answers that name server objects.
        channel: sends the answers to pings.
    """

    def __init__(self, calls: PendingCalls, turn: ReadTurn, references: References, channel: Channel) -> None:
        self._calls = calls
        self._turn = turn
        self._references = references
        self._channel = channel

    def deliver(self, message: Message) -> None:
        """Deliver a message; the thread that reads calls this, perhaps twice with the same message."""
        if message.kind not in _ANSWERS:
            self._deliver_other(message)
            return
        number = message.request
        calls = self._calls
        call = calls.find(number)
        if message.references:
            self._references.note(message)
        if call is not None:
            if not call.call_is_answered:
                call.call_answer = message
                call.call_is_answered = True
            if call.call_is_watched:
                calls.settle(number, call)
            else:
                calls.by_number.pop(number, None)
        # Last: a thread that wakes looks for its answer, and sleeps again if there is none. Repeated messages
        # open gates, too: an interrupt may have come before this line the first time.
        if self._turn.gates:
            self._turn.open_gates_of(call)

    def _deliver_other(self, message: Message) -> None:
        if message.kind == m.REFERENCES:
            self._references.note_ahead(message)
            self._note_begun(message, True)
        elif message.kind == m.PING:
            self._channel.post(Message(m.PONG, message.request))
        elif message.kind == m.STATUS:
            self._note_begun(message, message.body == m.STARTED)
        # CLOSE is followed by the end of the stream. CREDIT and PONG need no action.

    def _note_begun(self, message: Message, is_begun: bool) -> None:
        call = self._calls.find(message.request)
        if call is not None:
            call.call_is_started = is_begun
