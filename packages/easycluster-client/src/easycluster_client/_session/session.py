"""One open connection, as the master sees it.

Theory of operation
-------------------

A call comes from a `CallMaker` as a `PendingCall` with its pickled values. `ClientSession.request` numbers
it, notes it among the calls under way and sends it, in the caller's thread, under the channel's send lock;
when the kernel has no room, the sender takes in arriving answers meanwhile (`_while_blocked`), so two ends
that send to each other never block for good.

The caller then waits (`ClientSession.wait`). There is no thread that reads: the first caller that waits takes
the turn (`read_turn`), receives for all under the lock `ReadTurn.reading`, and hands each message to
`Delivery.deliver`. That notes an answer in its pending call, takes the call out of those under way and opens
the gate of the thread that waits for it. Values are unpickled later, by the thread that wants them, under no
lock.
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
from functools import partial
from threading import get_ident
from typing import TYPE_CHECKING

from easycluster_client._deadlines import seconds_until
from easycluster_client._process.forks import abandon_after_fork
from easycluster_protocol._values import pathlib_local
from easycluster_protocol._wire import messages as m
from easycluster_protocol._wire.link import Link
from easycluster_protocol._wire.messages import Message
from easycluster_protocol.errors import CallTimeout, ConnectionLost, LocalProtocolError
from easycluster_server._io.transport import EndOfStream, SocketTransport, wait

from .closing import SessionEnd
from .delivery import Delivery
from .interrupted_calls import explain_sending
from .limited_channel import LimitedChannel
from .pending import PendingCall, PendingCalls
from .read_turn import ReadTurn
from .references import References

if TYPE_CHECKING:
    from easycluster_protocol._types import Buffer

#: Seconds after which a thread that cannot send checks whether it can read now.
SEND_RETRY_INTERVAL = 0.05

#: The most objects in a RELEASE message: a pipe takes such a message completely or not at all.
_RELEASES_PER_MESSAGE = 256


class ClientSession:
    """Sends calls and receives their answers.

    Args:
        link: the link, handshake done.
        transport: its transport.
        peername: the server's name, for messages.

    Attributes:
        pickle_protocol: the highest that both ends understand.
        sent_packages: the packages whose modules have been sent.
        turn: the turn to read.
        arrived: calls whose completion functions have not been called yet.
        references: the server objects that were named on this connection.
        way_to_end: the method of the client that ends the process on the host; empty: it is not ready yet.
    """

    def __init__(self, link: Link, transport: SocketTransport, peername: str) -> None:
        self.link = link
        self.transport = transport
        self.peername = peername
        self.pickle_protocol = link.agreement.pickle_protocol
        self.sent_packages: set[str] = set()
        self.turn = ReadTurn()
        self.way_to_end = ""
        self._numbers = itertools.count(1)
        self._calls = PendingCalls()
        self.arrived = self._calls.arrived
        self._channel = LimitedChannel(link, transport, self._while_blocked, peername)
        self._end = SessionEnd(self._channel, peername, self._calls, self.turn, self._when_ended)
        self.references = References(self)
        self._deliver = Delivery(self._calls, self.turn, self.references, self._channel).deliver
        abandon_after_fork(self)
        if pathlib_local.is_needed_for(link.agreement.peer.python):
            pathlib_local.make_importable()
        link.receiver.deliver(self._deliver)

    @property
    def error(self) -> ConnectionLost | None:
        """Why the connection ended, or None while it is open."""
        return self.turn.error

    @property
    def has_reported_end(self) -> bool:
        """Whether a call has got an error for the end of the connection, or the script has closed it."""
        return self._end.is_reported

    @property
    def remedy(self) -> str:
        """What the user can do when the connection is lost: an imperative, or an empty text."""
        return self._end.remedy

    @remedy.setter
    def remedy(self, text: str) -> None:
        self._end.remedy = text

    def find_end_by(self, find_end: Callable[[], str]) -> None:
        """Set the function that returns how the remote process has ended, or an empty text."""
        self._end.find_end = find_end

    @property
    def outstanding(self) -> int:
        """The number of calls that have no answer, or whose completion functions have not been called."""
        return len(self._calls)

    def check_may_wait(self) -> None:
        """Make sure that the calling thread may wait for an answer; on this class every thread may."""

    def check_descriptor(self, descriptor: int) -> int:
        """Return a descriptor of the connection, which may have been closed.

        Raises:
            ConnectionLost: it has been closed.
        """
        if descriptor < 0:
            raise self._end.new_error()
        return descriptor

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
            ConnectionLost: the connection ended.
            CallTimeout: it was not sent within the time that the thread has, see `LimitedChannel`.
        """
        turn, end = self.turn, self._end
        if turn.error is not None:
            raise end.new_error(is_later=True)
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
        except BaseException as error:
            if not end.is_end(error):
                self._calls.by_number.pop(number, None)
                if _is_unsent(error):  # otherwise the message may be on its way nevertheless
                    self.references.keep_releases(message.releases)
                else:
                    explain_sending(error, call, self)
                raise
            # The server may have given the reason before it ended, and that may still be read.
            end.lose_server(f"the connection to {self.peername} was lost", error)
            if not call.call_is_answered:
                raise end.new_error() from error
        if turn.error is not None and not call.call_is_answered:
            call.call_lose(end.new_error())

    def give_back(self) -> None:
        """Give back receipts of objects that have no proxy here any more, if the kernel takes them at once.

        A thread that is sending takes the message along, so this may be called anywhere.
        """
        garbage = self.references.garbage
        while garbage and self.turn.error is None and wait(-1, self.transport.write_fileno(), 0)[1]:
            releases = self.references.take_releases(_RELEASES_PER_MESSAGE)
            if releases:
                self._post(Message(m.RELEASE, releases=releases))

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
            ConnectionLost: the connection has ended.
        """
        end = self._end
        end.check_open()
        try:
            self._channel.send(Message(kind, 0, body, thread))
        except OSError as error:
            if not end.is_end(error):
                raise
            end.lose_server(f"the connection to {self.peername} was lost", error)
            raise end.new_error() from error

    def limit_sending(self, deadline: float) -> AbstractContextManager[None]:
        """Return a context in which sending a call raises `CallTimeout` when it lasts beyond the deadline."""
        return self._channel.limit(deadline)

    def wait(self, call: PendingCall, deadline: float | None = None, keep_waiting: bool = False) -> None:
        """Wait until a call has its answer or the connection has ended.

        It returns earlier when the time is over, or when this thread has read answers whose completion
        functions are to be called.

        Args:
            call: the call.
            deadline: when to give up, on the clock of `time.monotonic`; None: never.
            keep_waiting: whether to go on waiting although there are completion functions to be called.

        Raises:
            RuntimeError: a signal handler waits while its own thread is in the middle of reading.
        """
        me = get_ident()
        turn, end = self.turn, self._end
        while not call.call_is_answered:
            if turn.claim(0, me) != me:
                if not turn.wait_at(turn.new_gate(call), deadline):
                    return
                continue
            if turn.reader == me:
                raise RuntimeError(
                    "a signal handler cannot wait for an answer while it interrupts the reading: set a flag"
                    " there, and call when it has ended"
                )
            try:
                while turn.error is None:
                    if self.arrived and not keep_waiting:
                        return
                    if deadline is None:
                        self._receive(True, call)
                    elif not self._receive_until(deadline, call):
                        return
                    if call.call_is_answered:
                        return
                call.call_lose(end.new_error())
            finally:
                turn.hand_over()

    def read(self, block: bool) -> bool:
        """Receive once, when no other thread reads; return whether anything came.

        Raises:
            ConnectionLost: the connection has ended.
        """
        self._end.check_open()
        if not self.turn.take_to_read():
            return False
        try:
            came = self._receive(block)
        finally:
            self.turn.hand_over()
        if not came:
            self._end.check_open()
        return came

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

    def resend_posted(self) -> bool:
        """Send messages that were left to a sender which was interrupted; return whether any remain."""
        return self._end.note_loss(self._channel.resend_posted) is True

    def close(self, text: str) -> None:
        """End the connection in order; every outstanding call raises `ConnectionLost` with ``text``."""
        self._end.close(text)

    def abandon(self) -> None:
        """Give up the connection in a process that was forked from the one that it belongs to."""
        self.references.renew_locks()
        self._end.abandon()

    def _when_ended(self) -> None:
        """Called when the connection has ended; subclasses override it."""

    def _post(self, message: Message) -> None:
        """Send a small message, or leave it to a thread that is sending; a lost connection is only noted."""
        self._end.note_loss(partial(self._channel.post, message))

    def _receive(self, block: bool, call: PendingCall | None = None) -> bool:
        """Receive once, unless ``call`` has its answer already."""
        turn = self.turn
        try:
            with turn.reading:
                turn.reader = get_ident()
                try:
                    if call is not None and call.call_is_answered:
                        return True
                    return self._channel.receive(self._deliver, block)
                finally:
                    turn.reader = 0
        except (EndOfStream, OSError) as error:
            self._end.note_receive_error(error)
        return False

    def _receive_until(self, deadline: float, call: PendingCall) -> bool:
        """Receive once, or wait until bytes have come; return False when the time is over."""
        if self._receive(False, call) or self.turn.error is not None:
            return True
        left = seconds_until(deadline)
        if not left:
            return False
        turn = self.turn
        with turn.reading:
            turn.reader = get_ident()
            try:
                wait(self.transport.fileno(), -1, left)
            finally:
                turn.reader = 0
        return True

    def _while_blocked(self) -> None:
        """Receive once while the kernel accepts no more to send: the server may be unable to read on before
        this end does."""
        patience = self._channel.patience()
        has_turn = self.turn.take_to_read()
        try:
            transport = self.transport
            read = transport.fileno() if has_turn else -1
            if not has_turn:
                patience = SEND_RETRY_INTERVAL if patience is None else min(SEND_RETRY_INTERVAL, patience)
            readable, _ = wait(read, transport.write_fileno(), patience)
            if readable:
                self._receive(False)
        finally:
            if has_turn:
                self.turn.hand_over()
        self._end.check_open()


def _is_unsent(error: BaseException) -> bool:
    """Return whether nothing has been sent of a message whose sending raised this error, nor will be."""
    return isinstance(error, LocalProtocolError) or (
        isinstance(error, CallTimeout) and error.state == "not sent"
    )
