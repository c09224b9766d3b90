"""Reading one open connection, as the master does, and waiting for answers: the half of `ClientSession` that
receives. Its theory of operation is in `session`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from threading import get_ident
from time import monotonic

from easycluster_client._deadlines import seconds_until
from easycluster_client._keep_alive_options import KeepAliveOptions
from easycluster_client._observers import Observer, Verdict
from easycluster_protocol._wire import messages as m
from easycluster_protocol._wire.link import Link
from easycluster_protocol._wire.messages import Message
from easycluster_protocol.errors import ConnectionLost
from easycluster_server._io.transport import EndOfStream, SocketTransport, wait
from easycluster_server._system.masters import count_unacknowledged, is_peer_full, limit_receive

from .closing import SessionEnd
from .keep_alive import KeepAlive, Queue
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
        keep_alive: when a silent server is asked and given up.

    Attributes:
        turn: the turn to read.
        arrived: calls whose completion functions have not been called yet.
        heard_at: when the server last sent something, on the clock of `time.monotonic`.
        observer: sees the process on the host from outside.
    """

    #: Whether the threads that wait for answers check that the server is alive.
    _is_checked_by_waiters = True

    #: Takes each message that has come.
    _deliver: Callable[[Message], None]

    def __init__(
        self, link: Link, transport: SocketTransport, peername: str, keep_alive: KeepAliveOptions
    ) -> None:
        self.link = link
        self.transport = transport
        self.peername = peername
        self.turn = ReadTurn()
        self.heard_at = monotonic()
        self.observer = Observer()
        self.keep_alive = KeepAlive(keep_alive)
        #: How long a thread waits at most before it checks the server, in seconds; None: it never does.
        self._check_delay = self.keep_alive.interval if self._is_checked_by_waiters else None
        if self._check_delay is not None:
            limit_receive(transport.socket, self._check_delay)
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

    def new_error(self) -> ConnectionLost:
        """Return a new error for the end of the connection."""
        return self._end.new_error()

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

    def check_alive(self) -> float | None:
        """Check that the server is alive, for a thread that waits for bytes.

        Returns:
            After how many seconds of waiting to check again; None: never.
        """
        delay = self._check_delay = self.keep_alive.check(self)
        return delay

    def limit_wait(self, seconds: float | None) -> float | None:
        """Return for how many seconds to wait, of so many at most, before checking the server."""
        delay = self._check_delay
        if delay is None:
            return seconds
        return delay if seconds is None else min(seconds, delay)

    def ping(self) -> None:
        """Ask the server for a sign of life."""
        self._end.note_loss(partial(self._channel.post, Message(m.PING, 1)))

    def has_bytes(self) -> bool:
        """Return whether bytes have come that no thread has read yet."""
        return wait(self.transport.fileno(), -1, 0)[0]

    def find_queue(self) -> Queue:
        """Return what is still to be sent."""
        sender = self.link.sender
        sent = sender.sent
        unacknowledged = count_unacknowledged(self.transport.socket)
        return Queue(unacknowledged, sender.has_unsent, sent, len(sent))

    def is_peer_full(self) -> bool:
        """Return whether the host acknowledges what it gets, and its process reads nothing."""
        return is_peer_full(self.transport.socket)

    def give_up(self, verdict: Verdict) -> None:
        """End the connection to a server that does not answer."""
        text = f"Remote server not responding ({self.peername}): {verdict.seen}"
        self._end.lose(text, reason=verdict.reason)

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
                        # Receiving returns after some silence, too.
                        _ = self._receive(True, call) or self._wait_patiently(call)
                    elif not self._receive_until(deadline, call):
                        return
                    if call.call_is_answered:
                        return
                call.call_lose(end.new_loss(call))
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
            came = self._receive(block) or (block and self._wait_patiently())
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
                    came = self._channel.receive(self._deliver, block)
                    if came:
                        self.heard_at = monotonic()
                    return came
                finally:
                    turn.reader = 0
        except (EndOfStream, OSError) as error:
            self._end.note_receive_error(error)
        return False

    def _wait_patiently(self, call: PendingCall | None = None) -> bool:
        """Wait for bytes while the server is alive, and receive once; return False when the connection has
        ended."""
        came = False
        while not came and self.turn.error is None:
            delay = self.check_alive()
            if self.turn.error is None:
                self._wait_for_bytes(delay)
                came = self._receive(False, call)
        return came

    def _receive_until(self, deadline: float, call: PendingCall) -> bool:
        """Receive once, or wait until bytes have come; return False when the time is over."""
        if self._receive(False, call) or self.turn.error is not None:
            return True
        left = seconds_until(deadline)
        if not left:
            return False
        if not self._wait_for_bytes(self.limit_wait(left)):
            self.check_alive()
        return True

    def _wait_for_bytes(self, seconds: float | None) -> bool:
        """Wait, in one's turn to read, until bytes have come; return whether they have."""
        turn = self.turn
        with turn.reading:
            turn.reader = get_ident()
            try:
                return wait(self.transport.fileno(), -1, seconds)[0]
            finally:
                turn.reader = 0

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
            readable, writable = wait(read, transport.write_fileno(), self.limit_wait(patience))
            if readable:
                self._receive(False)
            elif not writable:
                self.check_alive()
        finally:
            if has_turn:
                self.turn.hand_over()
        self._end.check_open()
