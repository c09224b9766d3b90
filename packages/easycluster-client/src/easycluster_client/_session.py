"""One open connection, as the master sees it: calls under way, and whose turn it is to read.

Who reads: the threads that wait for an answer share one turn. The first of them leads: it reads for
all and wakes each whose answer came; when its own has come it hands the turn to one who still
waits. `_turn` says who leads; taking and giving it back is one C call each, so that no lock is needed
that an interrupt, or a signal handler that makes calls itself, could find taken.

A thread that was interrupted (Ctrl-C) while it led finds its own name in `_turn` when it comes back,
and leads on. When it does not come back, those who wait see after a while that nobody reads. That
nobody reads beside another is up to `_reading`, not to `_turn`.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from threading import get_ident
from typing import Any

from easycluster_protocol import _messages as m
from easycluster_protocol._link import OPEN, Link
from easycluster_protocol._messages import Message
from easycluster_protocol.errors import ConnectionLost, ProtocolError
from easycluster_server._channel import Channel
from easycluster_server._transport import EndOfStream, broke, wait

from ._forks import give_up_in_children
from ._response import NonblockingResponse

_ANSWERS = frozenset((m.RESULT, m.FAILURE))

#: Seconds after which a thread that waits for its turn looks whether anybody reads, and once more.
_LOOK_AFTER = 1.0
_LOOK_AGAIN = 0.05

#: Seconds after which a thread that cannot send looks whether it can read now.
RETRY = 0.05

#: Seconds that `close` waits for the server to end while answers are still under way.
_CLOSE_GRACE = 2.0


class ClientSession:
    """Sends calls and receives their answers.

    Args:
        link: the link, handshake done.
        transport: its transport.
        peername: the server's name, for messages.
    """

    def __init__(self, link: Link, transport: Any, peername: str) -> None:
        self.link = link
        self.transport = transport
        self.peername = peername
        self.pickle_protocol = link.session.pickle_protocol
        #: The packages whose modules have been sent.
        self.supplied: set[str] = set()
        self._channel = Channel(link, transport, self._while_blocked)
        self._numbers = itertools.count(1)
        self._pending: dict[int, NonblockingResponse] = {}
        #: 0 → the thread that leads; empty when nobody does.
        self._turn: dict[int, int] = {}
        self._reading = threading.Lock()
        #: The thread that has it, or 0.
        self._reader = 0
        # Where the threads that do not lead wait, each at a gate of its own, and for what.
        self._gates: dict[threading.Lock, NonblockingResponse] = {}
        self._error: ConnectionLost | None = None
        self._first_error: dict[int, ConnectionLost] = {}
        #: Answers whose completion functions have not been called yet.
        self.arrived: list[NonblockingResponse] = []
        give_up_in_children(self)
        self._channel.deliver_ready(self._deliver)

    @property
    def error(self) -> ConnectionLost | None:
        """Why the connection ended, or None while it is open."""
        return self._error

    def request(self, response: NonblockingResponse, kind: int, body: Any, buffers: Any, thread: int) -> None:
        """Send a call; on return the kernel has it.

        Raises:
            ConnectionLost: the connection ended.
        """
        if self._error is not None:
            raise self._lost()
        number = next(self._numbers)
        response.request_id = number
        response._session = self
        self._pending[number] = response
        try:
            self._channel.send(Message(kind, number, body, thread, buffers))
        except BaseException as error:
            if not self._is_end(error):
                self._pending.pop(number, None)
                raise
            # Perhaps the server said why before it went; what it said may still be read.
            self._fail(f"the connection to {self.peername} was lost", error)
            if not response._done:
                raise self._lost() from error
        if self._error is not None and not response._done:
            response._lose(self._lost())

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

    def _is_end(self, error: BaseException) -> bool:
        """Whether this, raised while sending, means the end of the connection, and is not the fault
        of the message or of a signal handler."""
        if self._error is not None or self.link.sending != OPEN:
            return isinstance(error, Exception)
        return isinstance(error, OSError) and broke(error)

    def wait(self, response: NonblockingResponse) -> None:
        """Wait until ``response`` has its answer or the connection has ended.

        Raises:
            RuntimeError: a signal handler waits while its own thread is in the middle of reading.
        """
        me = get_ident()
        while not response._done:
            if self._turn.setdefault(0, me) != me:
                self._wait_at(self._queue(response))
                continue
            if self._reader == me:
                raise RuntimeError(
                    "a signal handler cannot wait for an answer while it interrupts the reading"
                )
            try:
                while not response._done and self._error is None:
                    self._receive(True, response)
                if self._error is not None:
                    response._lose(self._lost())
            finally:
                self._hand_over()

    def read(self, block: bool) -> bool:
        """Receive once, when no other thread reads; return whether anything came."""
        if self._error is not None:
            raise self._lost()
        if not self._try_lead():
            return False
        try:
            return self._receive(block)
        finally:
            self._hand_over()

    def _queue(self, response: NonblockingResponse) -> threading.Lock:
        """Return the gate at which this thread has to wait."""
        gate = threading.Lock()
        gate.acquire()
        self._gates[gate] = response
        # What opens it may have come just before it was there to be opened.
        if response._done or self._error is not None or not self._turn:
            self._open(gate)
        return gate

    def _wait_at(self, gate: threading.Lock) -> None:
        try:
            while not gate.acquire(True, _LOOK_AFTER):
                if self._reading.locked() or gate.acquire(True, _LOOK_AGAIN) or self._reading.locked():
                    continue
                self._turn.pop(0, None)  # whoever had the turn was kept from handing it over
                return
        except BaseException:
            # An interrupt. Perhaps the turn had just been handed to this thread, which does not
            # take it now.
            self._gates.pop(gate, None)
            self._open_next()
            raise
        finally:
            self._gates.pop(gate, None)

    def _try_lead(self) -> bool:
        me = get_ident()
        if self._turn.setdefault(0, me) != me:
            return False
        if self._reading.locked():
            if self._reader != me:  # it reads without the turn, see `_wait_at`
                self._turn.pop(0, None)
            return False
        return True

    def _hand_over(self) -> None:
        if self._turn.get(0) == get_ident():
            self._turn.pop(0, None)
        if self._gates:
            self._open_next()

    def _open_next(self) -> None:
        """Wake one of the threads that wait. It leads then, unless its answer or another thread
        was faster."""
        for gate in list(self._gates):
            self._open(gate)
            return

    def _open(self, gate: threading.Lock) -> None:
        # In this order, so that an interrupt between the two leaves nobody behind a closed gate.
        try:
            gate.release()
        except RuntimeError:  # it was open
            pass
        self._gates.pop(gate, None)

    def _open_gates_of(self, response: NonblockingResponse) -> None:
        for gate, waiting in list(self._gates.items()):
            if waiting is response:
                self._open(gate)

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

    def _deliver(self, message: Message) -> None:
        if message.kind in _ANSWERS:
            number = message.request
            response = self._pending.get(number)
            if response is not None:
                response._arrive(message)
                if self._gates:
                    self._open_gates_of(response)
                self._settle(number, response)
        elif message.kind == m.PING:
            self._channel.post(Message(m.PONG, message.request))
        # CLOSE is followed by the end of the stream. CREDIT, PONG and STATUS: nothing to do yet.

    def _settle(self, number: int, response: NonblockingResponse) -> None:
        """Take a call that is over from those under way to those to be completed."""
        if not response._completes:
            self._pending.pop(number, None)
            return
        try:
            # One C call: what is settled twice, because an interrupt came, is completed once.
            self.arrived.extend(map(self._pending.pop, (number,)))
        except KeyError:
            pass

    def _while_blocked(self) -> None:
        """Take in what arrives while the kernel takes nothing more: the server may be unable to
        read on before we do."""
        leading = self._try_lead()
        try:
            transport = self.transport
            read, timeout = (transport.fileno(), None) if leading else (-1, RETRY)
            readable, _ = wait(read, transport.write_fileno(), timeout)
            if readable:
                self._receive(False)
        finally:
            if leading:
                self._hand_over()
        if self._error is not None:
            raise self._lost()

    def _lost(self) -> ConnectionLost:
        """Return a new error for the end of the connection: each caller gets one of its own."""
        assert self._error is not None
        error = ConnectionLost(str(self._error))
        error.__cause__ = self._error.__cause__
        return error

    def _fail(self, text: str, cause: BaseException | None) -> None:
        error = ConnectionLost(text)
        error.__cause__ = cause
        self._error = self._first_error.setdefault(0, error)
        self.transport.shutdown()
        for number, response in list(self._pending.items()):
            response._lose(self._lost())
            self._settle(number, response)
        for gate, response in list(self._gates.items()):
            response._lose(self._lost())
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
