"""Reading one open connection, as the master does, and waiting for answers: the half of `ClientSession` that
receives. Its theory of operation is in `session`.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import get_ident

from easycluster_client._deadlines import seconds_until
from easycluster_protocol._wire.link import Link
from easycluster_protocol._wire.messages import Message
from easycluster_protocol.errors import ConnectionLost
from easycluster_server._io.transport import EndOfStream, SocketTransport, wait

from .closing import SessionEnd
from .limited_channel import LimitedChannel
from .pending import PendingCall, PendingCalls
from .read_turn import ReadTurn

#: Seconds after which a thread that cannot send checks whether it can read now.
SEND_RETRY_INTERVAL = 0.05


class ReadingSession:
    """Receives answers, and waits for them.

    Args:
        link: the link, handshake done.
        transport: its transport.
        peername: the server's name, for messages.

    Attributes:
        turn: the turn to read.
        arrived: calls whose completion functions have not been called yet.
    """

    #: Takes each message that has come.
    _deliver: Callable[[Message], None]

    def __init__(self, link: Link, transport: SocketTransport, peername: str) -> None:
        self.link = link
        self.transport = transport
        self.peername = peername
        self.turn = ReadTurn()
        self._calls = PendingCalls()
        self.arrived = self._calls.arrived
        self._channel = LimitedChannel(link, transport, self._while_blocked, peername)
        self._end = SessionEnd(self._channel, peername, self._calls, self.turn, self._when_ended)

    def _when_ended(self) -> None:
        """Called when the connection has ended; subclasses override it."""

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
