"""A channel: the link and the transport of one open connection, and the lock that all sending takes.

`_send_lock` guards the link's sender. It is held for one group of frames at a time, so small messages pass
between the frames of a large one. The link's receiver belongs to the thread whose turn it is to read: that
is up to the user of the channel, and `receive` takes no lock.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Callable, Deque, List, Optional

from easycluster_protocol._wire.link import Link
from easycluster_protocol._wire.messages import Message

from .interrupts import OwnedLock

if TYPE_CHECKING:
    from .transport import Transport

    #: Called while a send waits for room; returns when there may be some.
    WhileBlocked = Callable[[], None]


class Channel:
    """Sends and receives messages over one connection.

    Args:
        link: the protocol machine.
        transport: its transport.
        while_blocked: called by a sender when the kernel takes nothing more. With None the sender blocks in
            the kernel, which is right where another thread goes on reading.

    Attributes:
        has_leftovers: whether a reader that was interrupted may have left messages undelivered; the next
            `receive` delivers them.
    """

    def __init__(
        self, link: Link, transport: Transport, while_blocked: Optional[WhileBlocked] = None
    ) -> None:
        self.link = link
        self._sender = link.sender
        self._receiver = link.receiver
        self.transport = transport
        self._while_blocked = while_blocked
        self._block = while_blocked is None
        self._send_lock = OwnedLock()
        self._posted: Deque[Message] = deque()
        self.has_leftovers = False

    def send(self, message: Message) -> None:
        """Send a message; on return the kernel has it.

        Raises:
            LocalProtocolError: this end may not say that now; nothing was sent.
            OSError: the connection broke.
            RuntimeError: a signal handler sends while its thread is in the middle of sending.
        """
        if self._send_lock.is_mine():
            raise RuntimeError(
                "a signal handler cannot make a call while it interrupts the sending of another: set a flag"
                " there, and call when it has ended"
            )
        with self._send_lock:
            committed = self._sender.commit_small(message)
            if committed is not None:
                buffers, total, sent, _ = committed
                self.transport.send(sent, buffers, self._block)
                if sent != [total]:
                    self._flush()
        if committed is None:
            self._send_any(message)
        elif self._posted:
            self._send_posted()

    def _send_any(self, message: Message) -> None:
        for plans in self.link.plan_frames(message):
            with self._send_lock:
                self._flush()
                self._sender.commit(plans)
                self._flush()
            if self._posted:
                self._send_posted()

    def post(self, message: Message) -> None:
        """Send a small message without waiting for another sender: one that is busy takes it along."""
        self._posted.append(message)
        self._send_posted()

    def send_at_once(self, message: Message, patience: float = 0.1) -> bool:
        """Send a small message if the kernel takes it now; return whether it did.

        Args:
            message: the message.
            patience: how long to wait for another thread that is sending, in seconds.
        """
        if self._send_lock.is_mine():  # a signal handler came while this thread sends
            return False
        held: List[bool] = []
        try:
            if not self._send_lock.take(held, patience):
                return False
            for plans in self.link.plan_frames(message):
                if not self._flush_at_once():
                    return False
                self._sender.commit(plans)
            return self._flush_at_once()
        finally:
            if held:
                self._send_lock.release()

    def _flush_at_once(self) -> bool:
        sender = self._sender
        while sender.unsent():
            if not self.transport.send(sender.sent, sender.unsent(), False):
                return False
        return True

    def _send_posted(self) -> None:
        # A poster that finds the lock taken leaves. The thread that has the lock looks again after giving
        # it back, so no message stays behind.
        while self._posted and not self._send_lock.is_mine():
            held: List[bool] = []
            try:
                if not self._send_lock.take(held):
                    return
                while self._posted:
                    for plans in self.link.plan_frames(self._posted[0]):
                        self._flush()
                        self._sender.commit(plans)
                        self._posted.popleft()
                        self._flush()
            finally:
                if held:
                    self._send_lock.release()

    def release_leaked(self) -> None:
        """Give back the lock that an interrupt kept this thread from giving back; call it where this thread
        sends nothing."""
        self._send_lock.release_leaked()
        getattr(self.transport, "release_leaked", int)()  # TLS has a lock of its own

    def _flush(self) -> None:
        """Send the frames that are committed, including the rest of an interrupted sender's."""
        sender = self._sender
        blocked = self._while_blocked
        while True:
            rest = sender.unsent()
            if not rest:
                return
            if not self.transport.send(sender.sent, rest, self._block) and blocked is not None:
                blocked()

    def receive(self, deliver: Callable[[Message], None], block: bool) -> bool:
        """Receive once and deliver the messages that are complete then; call it only in one's turn to read.

        Args:
            deliver: called with each message. After an interrupt it is called again with the same message,
                so a repetition must do no harm.
            block: whether to wait for bytes.

        Returns:
            Whether anything came.

        Raises:
            EndOfStream: nothing more will come.
            RemoteProtocolError: the peer broke the rules.
            OSError: the connection broke.
        """
        # The messages that an interrupted reader left may be all that there is to wait for.
        if self.has_leftovers and self._receiver.deliver(deliver):
            return True
        self.has_leftovers = True
        came = self.transport.receive(self._receiver, block)
        if came:
            self._receiver.deliver(deliver)
        self.has_leftovers = False
        return came
