"""One open connection, as the master sees it.

Theory of operation
-------------------

A call comes from a `CallMaker` as a `PendingCall` with its pickled values. `ClientSession.request` numbers
it, notes it among the calls under way and sends it, in the caller's thread, under the channel's send lock;
when the kernel has no room, the sender takes in arriving answers meanwhile (`_while_blocked`), so two ends
that send to each other never block for good.

The caller then waits (`ReadingSession.wait`, in `reading`). There is no thread that reads: the first caller
that waits takes the turn (`read_turn`), receives for all under the lock `ReadTurn.reading`, and hands each
message to `Delivery.deliver`. That notes an answer in its pending call, takes the call out of those under way
and opens the gate of the thread that waits for it. Values are unpickled later, by the thread that wants them,
under no lock.
When the reader's own answer has come, it gives the turn back and wakes another thread that waits, which reads
on.

The watchers of a call are told at once (`PendingCall.call_tell_watchers`). A call with completion functions
then stays in `arrived` until `CallMaker.run_completions` takes it, outside of all locks. Proxies that are
gone are noted by finalisers (`references`), and their receipts travel with the next message.

The connection ends once, in `closing`: the first reason counts, every call without an answer gets an error of
its own, and all gates open. On a `ThreadedSession` a background thread reads while no caller waits
(`background`).

Every step may be cut short by a signal handler that raises (docs/decisions/0001): messages may be delivered
twice and never get lost, and a step that is repeated has the same effect.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from easycluster_client._keep_alive_options import KeepAliveOptions
from easycluster_client._process.forks import abandon_after_fork
from easycluster_protocol._handshake.hello import CANCEL
from easycluster_protocol._values import pathlib_local
from easycluster_protocol._wire import messages as m
from easycluster_protocol._wire.link import Link
from easycluster_protocol._wire.messages import Message
from easycluster_protocol.errors import CallNotSent, CallTimeout, ConnectionLost, LocalProtocolError
from easycluster_server._io.transport import SocketTransport, wait

from .delivery import Delivery
from .interrupted_calls import explain_sending, is_interrupt
from .losses import is_cut_short
from .pending import PendingCall
from .reading import ReadingSession
from .references import References

if TYPE_CHECKING:
    from easycluster_protocol._types import Buffer

#: The most objects in a RELEASE message: a pipe takes such a message completely or not at all.
_RELEASES_PER_MESSAGE = 256


class ClientSession(ReadingSession):
    """Sends calls and receives their answers.

    Args:
        link: the link, handshake done.
        transport: its transport.
        peername: the server's name, for messages.
        keep_alive: when a silent server is asked and given up.

    Attributes:
        pickle_protocol: the highest that both ends understand.
        sent_packages: the packages whose modules have been sent.
        references: the server objects that were named on this connection.
        way_to_end: the method of the client that ends the process on the host; empty: it is not ready yet.
        can_cancel: whether the server cancels calls.
    """

    def __init__(
        self,
        link: Link,
        transport: SocketTransport,
        peername: str,
        keep_alive: KeepAliveOptions = KeepAliveOptions(),  # noqa: B008 -- it never changes
    ) -> None:
        super().__init__(link, transport, peername, keep_alive)
        self.pickle_protocol = link.agreement.pickle_protocol
        self.sent_packages: set[str] = set()
        self.way_to_end = ""
        self.can_cancel = link.agreement.peer.can(CANCEL)
        self._numbers = itertools.count(1)
        self.references = References(self)
        self._deliver = Delivery(self._calls, self.turn, self.references, self._channel).deliver
        self._channel.note_loss, self._end.deliver = self._end.note_loss, self._deliver
        abandon_after_fork(self)
        if pathlib_local.is_needed_for(link.agreement.peer.python):
            pathlib_local.make_importable()
        link.receiver.deliver(self._deliver)

    def request(
        self, call: PendingCall, kind: int, body: Buffer, buffers: Sequence[Buffer], thread: int
    ) -> None:
        """Send a call; on return the kernel has it.

        Args:
            call: the call; its answer will be noted in it.
            kind: CALL or INVOKE.
            body: the pickle of its values.
            buffers: the buffers that belong to the pickle and travel beside it.
            thread: the server thread that is to run it.

        Raises:
            CallNotSent: the connection had ended before. If it ends meanwhile, that is noted in the call.
            CallTimeout: it was not sent within the time that the thread has, see `LimitedChannel`.
        """
        turn, end = self.turn, self._end
        if turn.error is not None:
            raise end.new_refusal()
        number = next(self._numbers)
        call.request_id = number
        message = Message(kind, number, body, thread, buffers)
        if self.references.garbage:
            message.releases = self.references.take_releases()
        self._calls.by_number[number] = call
        try:
            if self._channel.limits:
                self._channel.send_in_time(message)
            else:
                self._channel.send(message)
            call.call_is_sent = True
        except BaseException as error:
            self._calls.by_number.pop(number, None)  # first: an interrupt leaves no call that nobody sends
            if not end.is_end(error):
                if _is_unsent(error):  # otherwise the message may be on its way nevertheless
                    self.references.keep_releases(message.releases)
                else:
                    explain_sending(error, call, self, self._cancel_in_part(error, call))
                raise
            call.call_is_sent = not is_cut_short(error)  # before the end, which drops the traceback
            if not call.call_is_answered:  # it is lost with the others
                self._calls.by_number[number] = call
            end.lose_server(f"the connection to {self.peername} was lost", error)
        if turn.error is not None and not call.call_is_answered:
            self._calls.lose(number, call, end.new_loss)

    def give_back(self) -> None:
        """Give back receipts of objects that have no proxy here any more, if the kernel takes them at once.

        A thread that is sending takes the message along, so this may be called anywhere.
        """
        garbage = self.references.garbage
        while garbage and self.turn.error is None and wait(-1, self.transport.write_fileno(), 0)[1]:
            releases = self.references.take_releases(_RELEASES_PER_MESSAGE)
            if releases:
                self._channel.post(Message(m.RELEASE, releases=releases))

    def send_before_first_call(self, message_kind: int, content: Callable[[], bytes]) -> None:
        """Send a message ahead of the first call.

        Args:
            message_kind: the kind of the message.
            content: returns the body of the message.
        """

        def request(
            call: PendingCall, kind: int, body: Buffer, buffers: Sequence[Buffer], thread: int
        ) -> None:
            self.control(message_kind, 0, content())
            # Only now: another thread that calls meanwhile, or after an interrupt, relies on this message.
            vars(self).pop("request", None)
            ClientSession.request(self, call, kind, body, buffers, thread)

        self.request = request  # type: ignore[method-assign]

    def control(self, kind: int, thread: int = 0, body: bytes = b"") -> None:
        """Send a message that has no answer.

        Raises:
            CallNotSent: the connection has ended.
        """
        end = self._end
        if self.error is not None:
            raise end.new_refusal()
        try:
            self._channel.send(Message(kind, 0, body, thread))
        except OSError as error:
            if not end.is_end(error):
                raise
            cls = CallNotSent if is_cut_short(error) else ConnectionLost  # first: ending drops the traceback
            end.lose_server(f"the connection to {self.peername} was lost", error)
            raise end.new_error(cls) from error

    def limit_sending(self, deadline: float) -> AbstractContextManager[None]:
        """Return a context in which sending a call raises `CallTimeout` when it lasts beyond the deadline."""
        return self._channel.limit(deadline)

    def receive_available(self) -> bool:
        """Receive once, without waiting.

        Returns:
            False if another thread has the turn and reads in its place.
        """
        if self.turn.error is not None:
            return True
        self.give_back()
        if not self.turn.take_to_read():
            return False
        try:
            self._receive(False)
        finally:
            self.turn.hand_over()
        return True

    def query_status(self, call: PendingCall) -> None:
        """Ask the server whether a call has been started, if the question can be sent at once."""
        try:
            self._channel.send_at_once(Message(m.STATUS_QUERY, call.request_id), 0.0)
        except OSError as error:
            if not self._end.is_end(error):
                raise

    def is_under_way(self, call: PendingCall) -> bool:
        """Return whether a call was sent on this connection, and has no answer."""
        return self._calls.by_number.get(call.request_id) is call

    def send_cancel(self, call: PendingCall) -> bool:
        """Tell the server to cancel a call; return whether the kernel has taken that."""
        try:
            return self._channel.send_at_once(Message(m.CANCEL, call.request_id))
        except OSError as error:
            if not self._end.is_end(error):
                raise
            return False

    def _cancel_in_part(self, error: BaseException, call: PendingCall) -> bool:
        """Cancel a call whose sending an interrupt has cut short; return whether the server was told."""
        return self.can_cancel and bool(self.way_to_end) and is_interrupt(error) and self.send_cancel(call)

    def end_process(self, text: str) -> None:
        """Break the connection, which ends the process on the host; every outstanding call raises an error.

        Args:
            text: the reason, for people.
        """
        self._end.lose(text)

    def resend_posted(self) -> bool:
        """Send messages that were left to a sender which was interrupted; return whether any remain."""
        return self._channel.resend_posted() and self.turn.error is None

    def close(self, text: str) -> None:
        """End the connection in order; every outstanding call raises `ConnectionLost` with ``text``."""
        self._end.close(text)

    def abandon(self) -> None:
        """Give up the connection in a process that was forked from the one that it belongs to."""
        self.references.renew_locks()
        self._end.abandon()


def _is_unsent(error: BaseException) -> bool:
    """Return whether nothing has been sent of a message whose sending raised this error, nor will be."""
    return isinstance(error, LocalProtocolError) or (
        isinstance(error, CallTimeout) and error.state == "not sent"
    )
