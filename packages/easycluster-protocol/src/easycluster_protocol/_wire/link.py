"""The protocol machine of an open connection: bytes in, messages out; messages in, bytes out.

Rule 1: the table of this file, and nothing else, says which message may be sent in which state.
Rule 2: nothing here does I/O, waits, takes a lock or looks at a clock. `receiver` and `sender`
are independent of each other, so one thread may receive while another sends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Dict, Iterable, Iterator, List, Optional, Tuple

from easycluster_protocol._limits import MAX_TABLE_ENTRIES
from easycluster_protocol.errors import LocalProtocolError

from . import messages as m
from .messages import Message
from .receiver import Receiver
from .sender import Sender

if TYPE_CHECKING:
    from easycluster_protocol._handshake.hello import Agreement

    from .authenticator import Authenticator
    from .sender import PlannedFrame

CLIENT = "client"
SERVER = "server"

#: Messages pass both ways.
OPEN = "open"
#: CLOSE was sent: nothing follows in this direction.
CLOSED = "closed"
#: The peer broke the rules: nothing can be sent or received any more.
FAILED = "failed"

_BOTH = (m.CREDIT, m.PING, m.PONG)
_FROM_CLIENT = (m.CALL, m.INVOKE, m.CANCEL, m.RELEASE, m.STOP_THREAD, m.STATUS_QUERY, m.MODULES)
_FROM_SERVER = (m.RESULT, m.FAILURE, m.STATUS, m.REFERENCES)

#: sender's role → state of the direction → kind of message → next state.
TRANSITIONS: Dict[str, Dict[str, Dict[int, str]]] = {
    CLIENT: {OPEN: {**dict.fromkeys(_BOTH + _FROM_CLIENT, OPEN), m.CLOSE: CLOSED}, CLOSED: {}, FAILED: {}},
    SERVER: {OPEN: {**dict.fromkeys(_BOTH + _FROM_SERVER, OPEN), m.CLOSE: CLOSED}, CLOSED: {}, FAILED: {}},
}

_PEER = {CLIENT: SERVER, SERVER: CLIENT}


class Link:
    """One end of an open connection.

    Args:
        role: `CLIENT` or `SERVER`.
        agreement: the result of the handshake.
        early: bytes of the peer that arrived together with the end of the handshake.

    Attributes:
        receiver, sender: the two directions.
        sending: the state of the direction to the peer.
    """

    def __init__(self, role: str, agreement: Agreement, early: bytes = b"") -> None:
        self.role = role
        self.agreement = agreement
        self.receiver = Receiver(
            TRANSITIONS[_PEER[role]],
            OPEN,
            _make_authenticator(agreement.receive_key),
            agreement.compress,
            self._fail,
        )
        self.sender = Sender(_make_authenticator(agreement.send_key), agreement.compress)
        self._failed = False
        self._set_sending(OPEN)
        if early:
            self.receive_data(early)

    def __repr__(self) -> str:
        return f"<Link {self.role}, sending: {self.sending}, receiving: {self.receiving}>"

    @property
    def receiving(self) -> str:
        """The state of the direction from the peer."""
        return FAILED if self._failed else self.receiver.state

    def receive_data(self, data: bytes) -> None:
        """Take in ``data``, any part of what the peer sent. Then call `Receiver.deliver`."""
        self.receiver.receive_data(data)

    def _fail(self) -> None:
        self._failed = True
        self._set_sending(FAILED)

    def plan_frames(self, message: Message) -> Iterable[List[PlannedFrame]]:
        """Return the frames of ``message`` in groups, for `Sender.commit`.

        Raises:
            LocalProtocolError: this end may not send that now.
        """
        self._advance_sending(message)
        if len(message.references) > MAX_TABLE_ENTRIES:
            return self._plan_in_parts(message)
        return self.sender.plan_frames(message)

    def _plan_in_parts(self, answer: Message) -> Iterator[List[PlannedFrame]]:
        """Return the frames of an answer that names more objects than fit one table."""
        named, request = answer.references, answer.request
        last = len(named) - MAX_TABLE_ENTRIES
        for start in range(0, last, MAX_TABLE_ENTRIES):
            more = named[start : min(start + MAX_TABLE_ENTRIES, last)]
            yield from self.sender.plan_frames(Message(m.REFERENCES, request, references=more))
        yield from self.sender.plan_frames(
            Message(
                answer.kind,
                request,
                answer.body,
                answer.thread,
                answer.buffers,
                named[last:],
                answer.releases,
            )
        )

    def data_to_send(self, message: Message) -> bytes:
        """Return all bytes of ``message`` at once, as sent.

        Raises:
            LocalProtocolError: this end may not send that now.
        """
        return self.sender.send_all(self.plan_frames(message))

    def _advance_sending(self, message: Message) -> None:
        state = self.sending  # another thread that receives may set it to FAILED meanwhile
        try:
            after = TRANSITIONS[self.role][state][message.kind]
        except KeyError:
            raise LocalProtocolError(f"a {self.role} that is {state} cannot send {message!r}") from None
        if after != state:
            self._set_sending(after)

    def _set_sending(self, state: str) -> None:
        row = TRANSITIONS[self.role][state]
        if not self.agreement.compress:
            self.sender.plain_kinds = frozenset(kind for kind, after in row.items() if after == state)
        self.sending = state

    def receive_eof(self) -> Tuple[bool, str]:
        """Say that no more bytes will come.

        Returns:
            Whether the peer ended the connection in order, and a sentence that says so.
        """
        if self.receiving == CLOSED:
            return True, "the peer closed the connection"
        if self.receiver.is_between_frames:
            return False, "the connection ended"
        return False, "the connection ended in the middle of a message"


def _make_authenticator(key: Optional[bytes]) -> Optional[Authenticator]:
    if key is None:
        return None
    from .authenticator import Authenticator  # private connections need none of its modules

    return Authenticator(key)
