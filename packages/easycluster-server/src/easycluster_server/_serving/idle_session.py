"""A session before its first call: what a host compiles while it has nothing to do.

Over ssh the first call brings the code that runs calls with it (docs/decisions/0004). Until then the main
thread alone reads, no code of the user's has run, and no signal handler raises.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, List, Optional

from easycluster_protocol._wire import messages as m
from easycluster_protocol._wire.link import Link
from easycluster_protocol._wire.messages import Message
from easycluster_protocol.errors import ProtocolError
from easycluster_server._io.channel import Channel
from easycluster_server._io.interrupts import FirstOf
from easycluster_server._io.transport import EndOfStream, is_connection_error
from easycluster_server._system.control import CLOSED, LOST
from easycluster_server._system.output import standard_error

if TYPE_CHECKING:
    import signal

    from easycluster_protocol._types import Buffer
    from easycluster_server._io.transport import Transport
else:
    import _signal as signal  # the other half takes 3 ms to import, and is not needed

#: The requests that run code of the user's.
CALLS = frozenset((m.CALL, m.INVOKE))


class IdleSession:
    """Serves one connection in this process until its first call comes.

    Args:
        link: the link, handshake done.
        transport: its transport.
        on_end: called when the connection has ended, with `CLOSED` or `LOST`; in any thread, and perhaps
            twice with the same.
        add_modules: takes modules that the client has sent; raises `Exception` if they are none.
    """

    def __init__(
        self,
        link: Link,
        transport: Transport,
        on_end: Callable[[str], None],
        add_modules: Callable[[Buffer], None],
    ) -> None:
        self._link = link
        self._transport = transport
        self._on_end = on_end
        self._add_modules = add_modules
        self._channel = Channel(link, transport)
        #: How the connection ended; None while it is open.
        self._outcome: Optional[str] = None
        self._first_outcome = FirstOf()
        self._arrived: List[Message] = []

    def wait_for_call(self) -> List[Message]:
        """Serve until the first call has come.

        Returns:
            It, and the messages that came after it; none: the connection has ended, or was broken behind it.
        """
        signal.signal(signal.SIGINT, lambda number, frame: None)  # there is nothing to interrupt
        self._link.receiver.deliver(self._deliver)
        while not self._arrived and self._outcome is None:
            self._receive(True)
        return [] if self._outcome else self._arrived

    def _receive(self, block: bool) -> bool:
        try:
            return self._channel.receive(self._deliver, block)
        except EndOfStream:
            closed, _ = self._link.receive_eof()
            self._end(CLOSED if closed else LOST)
        except ProtocolError as error:
            if self._outcome is None:
                standard_error.say(error)
            self._end(LOST)
        except OSError as error:
            if not is_connection_error(error):
                raise
            self._end(LOST)
        return False

    def _deliver(self, message: Message) -> None:
        if self._arrived or message.kind in CALLS:
            self._arrived.append(message)
        else:
            self._deliver_other(message)

    def _deliver_other(self, message: Message) -> None:
        kind = message.kind
        if kind == m.PING:
            self._channel.post(Message(m.PONG, message.request))
        elif kind == m.MODULES:
            self._deliver_modules(message)
        elif kind == m.STATUS_QUERY:
            self._channel.post(Message(m.STATUS, message.request, self._describe(message.request)))
        elif kind == m.CLOSE:
            self._end(CLOSED)
        # CANCEL, RELEASE, CREDIT and PONG are understood, and there is nothing to do: no call has come yet.

    def _describe(self, number: int) -> bytes:
        """Return what `STATUS` says of a call."""
        return b""

    def _deliver_modules(self, message: Message) -> None:
        try:
            if message.damage is not None:
                raise ValueError(f"modules that the client sent did not arrive: {message.damage}")
            self._add_modules(message.body)
        except Exception as error:  # an import of one of them will fail
            standard_error.say(error)

    def _end(self, outcome: str) -> None:
        if self._outcome is not None:
            return
        # The first thread to set it wins. A thread that was interrupted in here comes again.
        outcome = self._first_outcome.set(outcome)
        self._on_end(outcome)
        self._outcome = outcome
        self._when_ended(outcome)

    def _when_ended(self, outcome: str) -> None:
        """Called when the connection has ended; `Session` overrides it."""
