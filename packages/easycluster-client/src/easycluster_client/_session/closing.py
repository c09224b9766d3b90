"""How a connection ends, and what those get then who wait for answers."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from easycluster_client._calls.response import NonblockingResponse
from easycluster_client._process.exit import hold_at_exit
from easycluster_client._process.forks import give_up_in_children
from easycluster_protocol._wire import messages as m
from easycluster_protocol._wire.link import OPEN, Link
from easycluster_protocol._wire.messages import Message
from easycluster_protocol.errors import ConnectionLost, ProtocolError
from easycluster_server._io.transport import EndOfStream, broke, wait

from .limited_channel import LimitedChannel
from .read_turn import Turns
from .references import References

#: Seconds that `close` waits for the server to end while answers are still under way.
_CLOSE_GRACE = 2.0


class Ending(Turns):
    """Base class of `ClientSession`: an open connection with calls under way, until it ends.

    Args:
        link: the link, handshake done.
        transport: its transport.
        peername: the server's name, for messages.
    """

    _channel: LimitedChannel
    references: References

    def __init__(self, link: Link, transport: Any, peername: str) -> None:
        super().__init__()
        self.link = link
        self.transport = transport
        self.peername = peername
        self._pending: dict[int, NonblockingResponse] = {}
        #: Answers whose completion functions have not been called yet.
        self.arrived: list[NonblockingResponse] = []
        #: 0 → why the connection ended. Who comes first says it; `_error` is set after that.
        self._first_error: dict[int, ConnectionLost] = {}
        give_up_in_children(self)

    if TYPE_CHECKING:

        def _settle(self, number: int, response: NonblockingResponse) -> None: ...

    @property
    def outstanding(self) -> int:
        """How many calls have no answer, or one whose completion functions have not been called."""
        return len(self._pending) + len(self.arrived)

    def check_may_wait(self) -> None:
        """Raise if the calling thread is one that must not wait for an answer; here all may."""

    def check_descriptor(self, descriptor: int) -> int:
        """Return a descriptor of the connection, which may have been closed.

        Raises:
            ConnectionLost: it was.
        """
        if descriptor < 0:
            raise self._lost()
        return descriptor

    def _is_end(self, error: BaseException) -> bool:
        """Whether this, raised while sending, means the end of the connection, and is not the fault
        of the message or of a signal handler."""
        if self._error is not None or self.link.sending != OPEN:
            return isinstance(error, Exception)
        return isinstance(error, OSError) and broke(error)

    def _end_by(self, error: Exception) -> None:
        """Note the end of the connection that receiving raised, or raise it: it is a signal handler's."""
        if isinstance(error, EndOfStream):
            _, text = self.link.receive_eof()
            self._fail(f"{text} ({self.peername})", None)
        elif isinstance(error, ProtocolError):
            self._fail(f"the connection to {self.peername} cannot be used any more: {error}", error)
        elif isinstance(error, OSError) and broke(error):
            self._fail(f"the connection to {self.peername} was lost: {error}", error)
        else:
            raise error

    def _post(self, message: Message) -> None:
        """Send a small message now, or let whoever sends take it along; a lost connection is only noted."""
        self._note_loss(partial(self._channel.post, message))

    def resend_posted(self) -> bool:
        """Send what was left to a sender that was interrupted since; return whether some is left."""
        return self._note_loss(self._channel.resend_posted) is True

    def _note_loss(self, send: Callable[[], Any]) -> Any:
        """Send something for which nobody waits: that the connection is lost is noted, and not raised."""
        try:
            return send()
        except (ConnectionLost, ProtocolError):  # it has ended meanwhile
            pass
        except OSError as error:
            if not broke(error):
                raise
            self._fail(f"the connection to {self.peername} was lost: {error}", error)
        return None

    def _lost(self) -> ConnectionLost:
        """Return a new error for the end of the connection: each caller gets one of its own."""
        assert self._error is not None
        hold_at_exit()
        error = ConnectionLost(str(self._error))
        error.__cause__ = self._error.__cause__
        return error

    def _fail(self, text: str, cause: BaseException | None) -> None:
        error = ConnectionLost(text)
        if cause is not None:
            # Its frames would keep the session, and whatever their callers had in hand, until a collection.
            error.__cause__ = cause.with_traceback(None)
        self._error = self._first_error.setdefault(0, error)
        self.transport.shutdown()
        for number, response in list(self._pending.items()):
            response._lose(self._lost())
            self._settle(number, response)
        for gate, waiting in list(self._gates.items()):
            if waiting is not None:
                waiting._lose(self._lost())
            self._open(gate)

    def close(self, text: str) -> None:
        """End the connection in order; every outstanding call raises `ConnectionLost`."""
        pending = self._pending
        if self._error is None:
            # Another thread that reads may see the server go before this one is done.
            self._first_error.setdefault(0, ConnectionLost(text))
            # No answer counts from here on: closing interrupts the calls on the server, and what they
            # raise then may arrive before the end.
            self._pending = {}
            try:
                self._say_goodbye(bool(pending))
            finally:
                self._pending = pending
        self._fail(text, None)
        self.transport.close()

    def abandon(self) -> None:
        """Give up the connection in a process that was forked from the one that it belongs to."""
        text = (
            f"the connection to {self.peername} belongs to the process from which this one was forked: "
            "connect() anew here"
        )
        self._error = self._first_error[0] = ConnectionLost(text)
        for response in self._pending.values():
            response._lose(self._lost())
        self._pending = {}
        self.arrived = []
        self.references.renew_locks()
        self.transport.socket.close()

    def _say_goodbye(self, outstanding: bool) -> None:
        try:
            if self._channel.send_at_once(Message(m.CLOSE)) and outstanding and self._try_lead():
                self._drain()
        except (OSError, ProtocolError):
            pass

    def _drain(self) -> None:
        """Wait for the server's end, for a short time. Closing while its answers are unread would
        reset the connection, and the server would take that for a loss."""
        deadline = time.monotonic() + _CLOSE_GRACE
        try:
            while (left := deadline - time.monotonic()) > 0:
                if wait(self.transport.fileno(), -1, left)[0]:
                    with self._reading:
                        self._channel.receive(lambda message: None, False)
        except (EndOfStream, OSError, ProtocolError):
            pass
