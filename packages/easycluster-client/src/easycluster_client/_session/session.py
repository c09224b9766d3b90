"""One open connection, as the master sees it: the calls under way. Who reads is up to `read_turn`, how it
ends to `closing`."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from threading import get_ident
from typing import Any

from easycluster_client import _deadlines
from easycluster_client._calls.response import NonblockingResponse
from easycluster_protocol._values import pathlib_local
from easycluster_protocol._wire import messages as m
from easycluster_protocol._wire.link import Link
from easycluster_protocol._wire.messages import Message
from easycluster_protocol.errors import CallTimeout, LocalProtocolError
from easycluster_server._io.transport import EndOfStream, wait

from .closing import Ending
from .limited_channel import LimitedChannel
from .references import References

_ANSWERS = frozenset((m.RESULT, m.FAILURE))

#: Seconds after which a thread that cannot send looks whether it can read now.
RETRY = 0.05

#: So many objects are given back in a message that a pipe takes whole if it takes anything.
_AT_ONCE = 256


class ClientSession(Ending):
    """Sends calls and receives their answers.

    Args:
        link: the link, handshake done.
        transport: its transport.
        peername: the server's name, for messages.
    """

    def __init__(self, link: Link, transport: Any, peername: str) -> None:
        super().__init__(link, transport, peername)
        self.pickle_protocol = link.agreement.pickle_protocol
        #: The packages whose modules have been sent.
        self.supplied: set[str] = set()
        self._channel = LimitedChannel(link, transport, self._while_blocked, peername)
        self._numbers = itertools.count(1)
        #: The server objects that were named here.
        self.references = References(self)
        if pathlib_local.can_have_moved(link.agreement.peer.python):
            pathlib_local.find_moved()
        link.receiver.deliver(self._deliver)

    def request(self, response: NonblockingResponse, kind: int, body: Any, buffers: Any, thread: int) -> None:
        """Send a call; on return the kernel has it.

        Raises:
            ConnectionLost: the connection ended.
            CallTimeout: it was not sent within the time that the thread has, see `LimitedChannel`.
        """
        if self._error is not None:
            raise self._lost()
        number = next(self._numbers)
        response.request_id = number
        response._session = self
        message = Message(kind, number, body, thread, buffers)
        if self.references.garbage:
            message.releases = self.references.releases()
        self._pending[number] = response
        try:
            if self._channel.limits:
                self._channel.send_in_time(message)
            else:
                self._channel.send(message)
        except BaseException as error:
            if not self._is_end(error):
                self._pending.pop(number, None)
                if _is_unsent(error):  # else the message may be on its way all the same
                    self.references.keep(message.releases)
                raise
            # Perhaps the server said why before it went; what it said may still be read.
            self._fail(f"the connection to {self.peername} was lost", error)
            if not response._done:
                raise self._lost() from error
        if self._error is not None and not response._done:
            response._lose(self._lost())

    def give_back(self) -> None:
        """Tell the server of objects that nobody here has any more, as far as the kernel takes that at once.

        Whoever sends at present takes it along, so it may be called anywhere.
        """
        garbage = self.references.garbage
        while garbage and self._error is None and wait(-1, self.transport.write_fileno(), 0)[1]:
            releases = self.references.releases(_AT_ONCE)
            if releases:
                self._post(Message(m.RELEASE, releases=releases))

    def send_before_first_call(self, kind: int, body: Callable[[], bytes]) -> None:
        """Send a message ahead of the first call."""

        def request(*arguments: Any) -> None:
            self.control(kind, 0, body())
            # Not before: another thread that calls meanwhile, or after an interrupt, relies on it.
            vars(self).pop("request", None)
            ClientSession.request(self, *arguments)

        self.request = request  # type: ignore[method-assign, assignment]

    def control(self, kind: int, thread: int = 0, body: bytes = b"") -> None:
        """Send a message that has no answer."""
        if self._error is not None:
            raise self._lost()
        try:
            self._channel.send(Message(kind, 0, body, thread))
        except OSError as error:
            if not self._is_end(error):
                raise
            self._fail(f"the connection to {self.peername} was lost", error)
            raise self._lost() from error

    def wait(
        self, response: NonblockingResponse, deadline: float | None = None, through: bool = False
    ) -> None:
        """Wait until ``response`` has its answer or the connection has ended; return earlier when
        the time is over, or when this thread has read answers whose completion functions are to be
        called.

        Args:
            response: what to wait for.
            deadline: when to give up, on the clock of `time.monotonic`; None: never.
            through: wait on although there are completion functions to be called.

        Raises:
            RuntimeError: a signal handler waits while its own thread is in the middle of reading.
        """
        me = get_ident()
        while not response._done:
            if self._turn.setdefault(0, me) != me:
                if not self._wait_at(self._queue(response), deadline):
                    return
                continue
            if self._reader == me:
                raise RuntimeError(
                    "a signal handler cannot wait for an answer while it interrupts the reading"
                )
            try:
                while self._error is None:
                    if self.arrived and not through:
                        return
                    if deadline is None:
                        self._receive(True, response)
                    elif not self._receive_until(deadline, response):
                        return
                    if response._done:
                        return
                response._lose(self._lost())
            finally:
                self._hand_over()

    def read(self, block: bool) -> bool:
        """Receive once, when no other thread reads; return whether anything came.

        Raises:
            ConnectionLost: the connection has ended.
        """
        if self._error is not None:
            raise self._lost()
        if not self._try_lead():
            return False
        try:
            came = self._receive(block)
        finally:
            self._hand_over()
        if not came and self._error is not None:
            raise self._lost()
        return came

    def look(self) -> bool:
        """Receive what is there, without waiting.

        Returns:
            False when that is up to another thread, which leads.
        """
        if self._error is not None:
            return True
        self.give_back()
        if not self._try_lead():
            return False
        try:
            self._receive(False)
        finally:
            self._hand_over()
        return True

    def ask(self, response: NonblockingResponse) -> None:
        """Ask the server whether a call has been started, if that can be sent at once."""
        try:
            self._channel.send_at_once(Message(m.STATUS_QUERY, response.request_id), 0.0)
        except OSError as error:
            if not self._is_end(error):
                raise

    def _receive(self, block: bool, response: NonblockingResponse | None = None) -> bool:
        """Receive once, unless ``response`` is there already."""
        try:
            with self._reading:
                self._reader = get_ident()
                try:
                    if response is not None and response._done:
                        return True
                    return self._channel.receive(self._deliver, block)
                finally:
                    self._reader = 0
        except (EndOfStream, OSError) as error:
            self._end_by(error)
        return False

    def _receive_until(self, deadline: float, response: NonblockingResponse) -> bool:
        """Receive once, or wait until something has come; return False when the time is over."""
        if self._receive(False, response) or self._error is not None:
            return True
        left = _deadlines.left_until(deadline)
        if not left:
            return False
        with self._reading:
            self._reader = get_ident()
            try:
                wait(self.transport.fileno(), -1, left)
            finally:
                self._reader = 0
        return True

    def _deliver(self, message: Message) -> None:
        """Take a message. Called by whoever reads, perhaps twice with the same."""
        if message.kind not in _ANSWERS:
            self._deliver_other(message)
            return
        number = message.request
        response = self._pending.get(number)
        if message.references:
            self.references.note(message)
        if response is not None:
            if not response._done:
                response._message = message
                response._done = True
            if response._completes:
                self._settle(number, response)
            else:
                self._pending.pop(number, None)
        # After that: who wakes looks for what was done, and else sleeps again. Also for an answer that comes
        # once more, because an interrupt came in between.
        if self._gates:
            self._open_gates_of(response)

    def _deliver_other(self, message: Message) -> None:
        if message.kind == m.REFERENCES:
            self.references.note_ahead(message)
        elif message.kind == m.PING:
            self._channel.post(Message(m.PONG, message.request))
        elif message.kind == m.STATUS:
            asked = self._pending.get(message.request)
            if asked is not None:
                asked._started = message.body == m.STARTED
        # CLOSE is followed by the end of the stream. CREDIT and PONG: nothing to do.

    def _settle(self, number: int, response: NonblockingResponse) -> None:
        """Take a call that is over from those under way to those to be completed."""
        if not response._completes:
            self._pending.pop(number, None)
            return
        # Before it is taken out: who is interrupted in here comes again.
        response._tell_watchers()
        try:
            # One C call: what is settled twice, because an interrupt came, is completed once.
            self.arrived.extend(map(self._pending.pop, (number,)))
        except KeyError:
            pass

    def _while_blocked(self) -> None:
        """Take in what arrives while the kernel takes nothing more: the server may be unable to
        read on before we do."""
        patience = self._channel.patience()
        leading = self._try_lead()
        try:
            transport = self.transport
            read = transport.fileno() if leading else -1
            if not leading:
                patience = RETRY if patience is None else min(RETRY, patience)
            readable, _ = wait(read, transport.write_fileno(), patience)
            if readable:
                self._receive(False)
        finally:
            if leading:
                self._hand_over()
        if self._error is not None:
            raise self._lost()


def _is_unsent(error: BaseException) -> bool:
    """Whether nothing of the message whose sending raised this is on its way, or will be."""
    return isinstance(error, LocalProtocolError) or (
        isinstance(error, CallTimeout) and error.state == "not sent"
    )
