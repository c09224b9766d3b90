"""The protocol machine of an open connection: bytes in, messages out; messages in, bytes out.

Rule 1: what may be said in which state stands in the tables of this file and nowhere else.
Rule 2: nothing here does I/O, waits, takes a lock or looks at a clock. `receiver` and `sender`
are independent of each other, so one thread may receive while another sends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, Iterable, Iterator, List, Optional, Tuple

from easycluster_protocol._limits import MAX_TABLE
from easycluster_protocol.errors import LocalProtocolError

from . import messages as m
from .messages import Message
from .receiver import Receiver
from .sender import Sender

if TYPE_CHECKING:
    from easycluster_protocol._handshake.hello import Agreement

    from .authenticator import Authenticator
    from .sender import Plan

CLIENT = "client"
SERVER = "server"

#: Messages pass both ways.
OPEN = "open"
#: CLOSE was said: nothing follows in this direction.
CLOSED = "closed"
#: The rules were broken: nothing can be sent or received any more.
FAILED = "failed"

_BOTH = (m.CREDIT, m.PING, m.PONG)
_FROM_CLIENT = (m.CALL, m.INVOKE, m.CANCEL, m.RELEASE, m.STOP_THREAD, m.STATUS_QUERY, m.MODULES)
_FROM_SERVER = (m.RESULT, m.FAILURE, m.STATUS, m.REFERENCES)

#: sender's role → state of the direction → kind of message → next state.
TRANSITIONS: Dict[str, Dict[str, Dict[int, str]]] = {
    CLIENT: {OPEN: {m.CLOSE: CLOSED}, CLOSED: {}, FAILED: {}},
    SERVER: {OPEN: {m.CLOSE: CLOSED}, CLOSED: {}, FAILED: {}},
}
TRANSITIONS[CLIENT][OPEN].update(dict.fromkeys(_BOTH + _FROM_CLIENT, OPEN))
TRANSITIONS[SERVER][OPEN].update(dict.fromkeys(_BOTH + _FROM_SERVER, OPEN))

_PEER = {CLIENT: SERVER, SERVER: CLIENT}


class Link:
    """One end of an open connection.

    Args:
        role: `CLIENT` or `SERVER`.
        agreement: what the handshake agreed on.
        early: bytes of the peer that came together with the end of the handshake.
    """

    def __init__(self, role: str, agreement: Agreement, early: bytes = b"") -> None:
        self.role = role
        self.agreement = agreement
        self.receiver = Receiver(
            TRANSITIONS[_PEER[role]],
            OPEN,
            _authenticator(agreement.receive_key),
            agreement.compress,
            self._fail,
        )
        self.sender = Sender(_authenticator(agreement.send_key), agreement.compress)
        self._failed = False
        self._begin_sending(OPEN)
        if early:
            self.receive_data(early)

    def __repr__(self) -> str:
        return f"<Link {self.role}, sending: {self.sending}, receiving: {self.receiving}>"

    @property
    def receiving(self) -> str:
        """The state of the direction from the peer."""
        return FAILED if self._failed else self.receiver.phase

    def receive_data(self, data: bytes) -> None:
        """Take in ``data``, any part of what the peer sent. Then call `Receiver.deliver`."""
        self.receiver.receive_data(data)

    def _fail(self) -> None:
        self._failed = True
        self._begin_sending(FAILED)

    def plans(self, message: Message) -> Iterable[List[Plan]]:
        """Return the frames of ``message`` in groups, for `Sender.commit`.

        Raises:
            LocalProtocolError: this end may not say that now.
        """
        self._check_sendable(message)
        if len(message.references) > MAX_TABLE:
            return self._plans_of_several(message)
        return self.sender.plans(message)

    def _plans_of_several(self, answer: Message) -> Iterator[List[Plan]]:
        """Return the frames of an answer that names more objects than fit one table."""
        named, request = answer.references, answer.request
        last = len(named) - MAX_TABLE
        for start in range(0, last, MAX_TABLE):
            more = named[start : min(start + MAX_TABLE, last)]
            yield from self.sender.plans(Message(m.REFERENCES, request, references=more))
        yield from self.sender.plans(
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
            LocalProtocolError: this end may not say that now.
        """
        return self.sender.send_all(self.plans(message))

    def _check_sendable(self, message: Message) -> None:
        state = self.sending  # another thread may fail to receive meanwhile
        try:
            after = TRANSITIONS[self.role][state][message.kind]
        except KeyError:
            raise LocalProtocolError(f"a {self.role} that is {state} cannot send {message!r}") from None
        if after != state:
            self._begin_sending(after)

    def _begin_sending(self, state: str) -> None:
        row = TRANSITIONS[self.role][state]
        if not self.agreement.compress:
            self.sender.steady = frozenset(kind for kind, after in row.items() if after == state)
        self.sending = state

    def receive_eof(self) -> Tuple[bool, str]:
        """Say that no more bytes will come.

        Returns:
            Whether the peer ended the connection in order, and a sentence about it.
        """
        if self.receiving == CLOSED:
            return True, "the peer closed the connection"
        if self.receiver.between_frames:
            return False, "the connection ended"
        return False, "the connection ended in the middle of a message"


def _authenticator(key: Any) -> Optional[Authenticator]:
    if key is None:
        return None
    from .authenticator import Authenticator  # private connections do without its modules

    return Authenticator(key)
