"""The session of a `ThreadedClient`, which is read even while no caller waits.

A caller that waits reads for itself and for others, as on any `ClientSession`; whenever no caller waits, the
background thread reads (`background`). The two meet in two places only: the turn, which the background
thread takes like any other thread, and the watch on which it sleeps, which is disarmed while another thread
receives.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence
from threading import get_ident
from time import monotonic
from typing import TYPE_CHECKING

from easycluster_client._keep_alive_options import KeepAliveOptions
from easycluster_protocol._wire.link import Link
from easycluster_protocol.errors import CompletionError
from easycluster_server._io.transport import EndOfStream, SocketTransport, wait

from .pending import PendingCall
from .reading import SEND_RETRY_INTERVAL
from .references import Garbage
from .session import ClientSession
from .watch import NoWatch, Watch, new_watch

if TYPE_CHECKING:
    from easycluster_protocol._types import Buffer

_GONE = (errno.EBADF, errno.ENOENT)


class ThreadedSession(ClientSession):
    """Sends calls and receives their answers, with a background thread beside.

    Args:
        link: the link, handshake done.
        transport: its transport.
        peername: the server's name, for messages.
        keep_alive: when a silent server is asked and given up.

    Attributes:
        watch: the watch on which the background thread sleeps.
        background: the identity of that thread; 0 until it runs.
        completing: 1 while the background thread calls the completion functions of an answer, else 0.
        is_closing: whether `close` has begun.
        is_closed: whether `close` is over: the background thread is to end.
        garbage_noted: whether the background thread knows that there are receipts to give back.
    """

    _is_checked_by_waiters = False

    def __init__(
        self,
        link: Link,
        transport: SocketTransport,
        peername: str,
        keep_alive: KeepAliveOptions = KeepAliveOptions(),  # noqa: B008 -- it never changes
    ) -> None:
        self.watch: Watch = new_watch(transport.fileno())
        self.background = 0
        self.completing = 0
        self.is_closing = self.is_closed = False
        self.garbage_noted = False
        super().__init__(link, transport, peername, keep_alive)
        self.references.drop = self._drop

    def _drop(self, dropped: Garbage) -> None:
        """Note that a proxy or an answer is gone. Finalisers call this: it neither sends nor takes a lock."""
        self.references.garbage.append(dropped)
        # In this order: the background thread resets `garbage_noted` before it looks at the garbage.
        if not self.garbage_noted:
            self.garbage_noted = True
            self.watch.wake()

    def check_may_wait(self) -> None:
        """Make sure that the calling thread may wait for an answer.

        Raises:
            CompletionError: it is the background thread, which has to call completion functions meanwhile.
        """
        if get_ident() == self.background:
            raise CompletionError(
                "a completion function of a ThreadedClient cannot wait for an answer of the same client: "
                "the thread that runs it also calls the others and watches the server. "
                "Use nonblocking=True with oncomplete=, or let a thread of your own wait"
            )

    @property
    def outstanding(self) -> int:
        """The number of calls that have no answer, or whose completion functions have not ended."""
        return super().outstanding + self.completing

    def request(
        self, call: PendingCall, kind: int, body: Buffer, buffers: Sequence[Buffer], thread: int
    ) -> None:
        """Send a call; on return the kernel has it.

        The watch is disarmed: on one CPU the answer may arrive before the caller begins to read, and
        waking the background thread for it would cost more than everything else. `ThreadedCallMaker.make`
        arms the watch again when the caller does not wait.
        """
        try:
            self.watch.disarm()
        except OSError as gone:
            if not self.is_gone(gone):
                raise
        super().request(call, kind, body, buffers, thread)

    def wait(self, call: PendingCall, deadline: float | None = None, keep_waiting: bool = True) -> None:
        """Wait until ``call`` has its answer, the connection has ended or the time is over."""
        if not call.call_is_answered:
            self.check_may_wait()
            super().wait(call, deadline, True)  # the background thread calls completion functions

    def _receive(self, block: bool, call: PendingCall | None = None) -> bool:
        watch = self.watch
        try:
            watch.disarm()
            came = super()._receive(block, call)
            if self.arrived or self.turn.error is not None:
                watch.wake()
            # An earlier reader may have been interrupted after it had received the answer of this one.
            (watch.rouse if self._channel.has_leftovers else watch.arm)()
        except BaseException as error:
            # An interrupt. The background thread has to finish the work of this reader.
            try:
                watch.rouse()
            except OSError as gone:
                if not self.is_gone(gone):
                    raise
            if not self.is_gone(error):
                raise
            if self.turn.error is None:
                self._end.fail_by(error)
            return False
        return came

    @property
    def has_leftovers(self) -> bool:
        """Whether an interrupted reader has left something half done."""
        return self._channel.has_leftovers

    def arm(self) -> None:
        """Let the background thread read again, at once if an interrupted reader has left something."""
        try:
            if self._channel.has_leftovers and not self.turn.reading.locked():
                self.watch.rouse()
            else:
                self.watch.arm()
        except OSError as gone:
            if not self.is_gone(gone):
                raise

    def is_gone(self, error: BaseException) -> bool:
        """Return whether arming or disarming the watch raised this error because the connection's descriptor
        has been closed."""
        return isinstance(error, OSError) and error.errno in _GONE and self.transport.fileno() < 0

    def receive_in_background(self) -> bool:
        """Receive once, without waiting, unless another thread receives; return whether anything came.

        Only for the background thread, which never waits for another thread and is never interrupted.
        """
        turn = self.turn
        if not turn.reading.acquire(False):
            return False
        try:
            turn.reader = self.background
            came = self._channel.receive(self._deliver, False)
            if came:
                self.heard_at = monotonic()
        except (EndOfStream, OSError) as error:
            self._end.note_receive_error(error)
            return False
        finally:
            turn.reader = 0
            turn.reading.release()
        return came

    def _while_blocked(self) -> None:
        """Receive once while the kernel accepts no more to send, unless another thread reads.

        This thread takes the turn only to receive: the background thread assumes that a holder of the turn
        which does not read was interrupted.
        """
        patience = self._channel.patience()
        transport = self.transport
        read = -1 if self.turn.holder is not None else transport.fileno()
        patience = SEND_RETRY_INTERVAL if patience is None else min(SEND_RETRY_INTERVAL, patience)
        readable, _ = wait(read, transport.write_fileno(), patience)
        if readable and self.turn.take_to_read():
            try:
                self._receive(False)
            finally:
                self.turn.hand_over()
        if get_ident() == self.background:
            self.keep_alive.check(self)
        self._end.check_open()

    def _when_ended(self) -> None:
        self.watch.wake()

    def close(self, text: str) -> None:
        """End the connection in order; every outstanding call raises `ConnectionLost`."""
        self.is_closing = True
        super().close(text)
        self.is_closed = True
        self.watch.wake()

    def release_watch(self) -> None:
        """Drop the watch: no thread waits on it any more."""
        self.watch = NoWatch()

    def abandon(self) -> None:
        """Give up the connection in a process that was forked from the one that it belongs to."""
        super().abandon()
        self.completing = 0
        self.watch.close()
        self.release_watch()
