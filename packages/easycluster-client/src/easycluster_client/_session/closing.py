"""The end of a connection: the first reason counts, and every call without an answer gets an error."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from typing import TypeVar

from easycluster_client._address import is_local
from easycluster_client._process.exit import block_at_exit
from easycluster_client._ssh.ends import is_of_ssh, is_timeout
from easycluster_protocol._wire import messages as m
from easycluster_protocol._wire.link import OPEN
from easycluster_protocol._wire.messages import Message
from easycluster_protocol.errors import CallNotSent, ConnectionLost, ProtocolError
from easycluster_server._io.channel import Channel
from easycluster_server._io.interrupts import FirstOf
from easycluster_server._io.transport import EndOfStream, SocketTransport, is_connection_error, wait

from .losses import CLOSED, DAMAGED, ENDED, FORKED, LOST, OWN_REASONS, lose_call, new_loss, repeat_loss
from .pending import PendingCall, PendingCalls
from .read_turn import ReadTurn

_Sent = TypeVar("_Sent")

#: What can be known of an end for which the server gave no reason.
_UNKNOWN = ": the process there has ended, or the network has failed"

#: What the system says of a peer that has not answered for too long.
_SILENCE = (errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.ENETUNREACH)

#: Seconds that `SessionEnd.close` waits for the end of the server while answers are under way.
_CLOSE_GRACE = 2.0


class SessionEnd:
    """The end of one connection, and the errors that calls get by it.

    Args:
        channel: the connection.
        peername: the server's name, for messages.
        calls: the calls that end with the connection.
        turn: where threads wait for answers.
        when_ended: called when the connection has ended and everything else is done, perhaps more than once.

    Attributes:
        is_reported: whether a call has got an error for the end, or the script has closed the connection.
    """

    def __init__(
        self,
        channel: Channel,
        peername: str,
        calls: PendingCalls,
        turn: ReadTurn,
        when_ended: Callable[[], object],
    ) -> None:
        self._channel = channel
        self._link = channel.link
        self._peername = peername
        self._calls = calls
        self._turn = turn
        self._when_ended = when_ended
        self.is_reported = False
        #: What a user can do after a loss: an imperative, or an empty text.
        self.remedy = ""
        #: Returns how the remote process has ended, or an empty text.
        self.find_end: Callable[[], str] = str
        #: Takes the messages that came before the end and have not been read.
        self.deliver: Callable[[Message], None] = _ignore
        #: The reason; `error` is set after this.
        self._reason = FirstOf()

    @property
    def error(self) -> ConnectionLost | None:
        """Why the connection ended, or None while it is open."""
        return self._turn.error

    def new_error(self, cls: type[ConnectionLost] = ConnectionLost) -> ConnectionLost:
        """Return a new error for the end of the connection: each caller gets one of its own."""
        return repeat_loss(cls, self._report())

    def new_refusal(self) -> CallNotSent:
        """Return the error for a call, or another message, that is to be sent after the end."""
        first = self._report()
        # Such a call cannot have caused the loss.
        addition = " (it had ended before this call, which was not sent)" if self.remedy else ""
        return repeat_loss(CallNotSent, first, "" if first.reason in OWN_REASONS else addition)

    def new_loss(self, call: PendingCall) -> ConnectionLost:
        """Return the error for a call that has no answer."""
        begun = self._link.receiver.list_begun()
        return lose_call(call, self._report(), call.request_id in begun)

    def _report(self) -> ConnectionLost:
        """Return the first error, which is about to be reported."""
        first = self._turn.error
        assert first is not None
        self.is_reported = True
        block_at_exit()
        return first

    def check_open(self) -> None:
        """Make sure that the connection is open.

        Raises:
            ConnectionLost: it has ended.
        """
        if self.error is not None:
            raise self.new_error()

    def is_end(self, error: BaseException) -> bool:
        """Return whether an error of sending means the end of the connection. Otherwise the message or a
        signal handler caused it."""
        if self.error is not None or self._link.sending != OPEN:
            return isinstance(error, Exception)
        return isinstance(error, OSError) and is_connection_error(error)

    def note_receive_error(self, error: Exception) -> None:
        """End the connection if an error of receiving means that; else raise the error: it is a signal
        handler's."""
        if isinstance(error, EndOfStream):
            in_order, text = self._link.receive_eof()
            text = f"{text} ({self._peername})"
            if not in_order and self.remedy:
                text += ": the process there has ended" if is_local(self._peername) else _UNKNOWN
            self.lose_server(text, reason=ENDED if in_order or is_local(self._peername) else LOST)
        elif isinstance(error, ProtocolError):
            self.lose(
                f"the connection to {self._peername} cannot be used any more: {error} (a proxy, tunnel or"
                " command in between must pass every byte unchanged)",
                error,
                DAMAGED,
            )
        elif isinstance(error, OSError) and is_connection_error(error):
            self.fail_by(error)
        else:
            raise error

    def note_loss(self, send: Callable[[], _Sent]) -> _Sent | None:
        """Call ``send``, for whose message no thread waits: the loss of the connection is noted, not raised.

        Returns:
            The result of ``send``; None: the connection was lost.
        """
        try:
            return send()
        except (ConnectionLost, ProtocolError):  # the connection has ended meanwhile
            pass
        except OSError as error:
            if not is_connection_error(error):
                raise
            self.fail_by(error)
        return None

    def fail_by(self, error: BaseException) -> None:
        """End the connection, which broke with this error."""
        self.lose_server(f"the connection to {self._peername} was lost: {error}", error)

    def lose_server(self, text: str, cause: BaseException | None = None, reason: str = LOST) -> None:
        """End the connection as `lose` does; the text says how the remote process ended, if that is known.

        Answers that have come already count.
        """
        if self.error is None:
            self._read_rest()
        if self.error is None and (end := self.find_end()):
            begin = "Remote server not responding" if is_timeout(end) else "the connection ended"
            text = f"{begin} ({self._peername}): {end}"
            reason = LOST if is_of_ssh(end) else ENDED
        elif isinstance(cause, OSError) and cause.errno in _SILENCE:
            text = f"Remote server not responding ({self._peername}): {cause}"
        self.lose(text, cause, reason)

    def _read_rest(self) -> None:
        """Deliver the answers that came before the end, if no other thread reads."""
        if self._channel.transport.fileno() < 0 or not self._turn.take_to_read():
            return
        try:
            with self._turn.reading:
                while self._channel.receive(self.deliver, False):
                    pass
        except (EndOfStream, ProtocolError):
            pass
        except OSError as error:
            if not is_connection_error(error):
                raise
        finally:
            self._turn.hand_over()

    def lose(self, text: str, cause: BaseException | None = None, reason: str = LOST) -> None:
        """End the connection as `fail` does, with advice for the user."""
        self.fail(f"{text}; {self.remedy}" if self.remedy else text, cause, reason)

    def fail(self, text: str, cause: BaseException | None = None, reason: str = LOST) -> None:
        """End the connection, and every call that has no answer.

        Args:
            text: what happened, for people; the first end goes before later ones.
            cause: the error behind the end.
            reason: see `ConnectionLost`.
        """
        error = new_loss(ConnectionLost, text, reason, self._peername)
        if cause is not None:
            # The frames of its traceback would keep the session and the values of callers until a collection.
            error.__cause__ = cause.with_traceback(None)
        self._turn.error = self._reason.set(error)
        self._channel.transport.shutdown()
        self._calls.lose_all(self.new_loss)
        for gate, waiting in list(self._turn.gates.items()):
            if waiting is not None:
                waiting.call_lose(self.new_loss(waiting))
            self._turn.open(gate)
        self._when_ended()

    def close(self, text: str) -> None:
        """End the connection in order; every outstanding call raises `ConnectionLost`."""
        self.is_reported = True
        if self.error is None:
            # Now, because another thread that reads may see the end of the server before this thread is done.
            self._reason.set(new_loss(ConnectionLost, text, CLOSED, self._peername))
            # Answers no longer count: closing interrupts the calls on the server, and the errors that they
            # raise then may arrive before the end.
            self._calls.ignore_answers()
            self._say_goodbye(bool(self._calls.by_number))
        self.fail(text, reason=CLOSED)
        self._channel.transport.close()

    def abandon(self) -> None:
        """Give up the connection in a process that was forked from the one that it belongs to."""
        text = (
            f"the connection to {self._peername} belongs to the process from which this one was forked: "
            "connect() again here"
        )
        self._reason = FirstOf()  # this reason goes before any other
        self._turn.error = self._reason.set(new_loss(ConnectionLost, text, FORKED, self._peername))
        self._calls.abandon_all(self.new_loss)
        transport = self._channel.transport
        assert isinstance(transport, SocketTransport)
        transport.socket.close()  # not by the transport, which might end the connection of the other process

    def _say_goodbye(self, has_outstanding: bool) -> None:
        try:
            if self._channel.send_at_once(Message(m.CLOSE)) and has_outstanding and self._turn.take_to_read():
                self._drain()
        except (OSError, ProtocolError):
            pass

    def _drain(self) -> None:
        """Wait a short time for the end of the server.

        Closing while answers are unread would reset the connection, which the server would take for a loss.
        """
        deadline = time.monotonic() + _CLOSE_GRACE
        try:
            while (left := deadline - time.monotonic()) > 0:
                if wait(self._channel.transport.fileno(), -1, left)[0]:
                    with self._turn.reading:
                        self._channel.receive(_ignore, False)
        except (EndOfStream, OSError, ProtocolError):
            pass


def _ignore(_: Message) -> None:
    """Ignore a message."""
