"""Sending within a time limit, which neither other senders nor a slow server can exceed."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Generator
from threading import get_ident
from typing import TYPE_CHECKING

from easycluster_client._deadlines import new_timeout_error, seconds_until
from easycluster_protocol._wire.link import Link
from easycluster_protocol._wire.messages import Message
from easycluster_protocol.errors import CallTimeout
from easycluster_server._io.channel import Channel

if TYPE_CHECKING:
    from easycluster_server._io.transport import Transport


class SendLimit:
    """The deadline of one thread's attempt to send a call.

    Args:
        deadline: on the clock of `time.monotonic`.

    Attributes:
        has_begun: whether a part of the call has been sent, or will be sent by the next thread that sends.
    """

    __slots__ = ("deadline", "has_begun")

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.has_begun = False

    def seconds_left(self) -> float:
        """Return the seconds until the deadline, at most as many as a single wait may last."""
        return seconds_until(self.deadline) or 0.0

    def check(self, peername: str) -> None:
        """Make sure that the time is not over.

        Raises:
            CallTimeout: the time is over; the error says whether the call was sent.
        """
        if time.monotonic() >= self.deadline:
            raise self._make_error(peername)

    def _make_error(self, peername: str) -> CallTimeout:
        if self.has_begun:
            text = (
                f"the call was sent in part to {peername} within its limit: the server does not read at"
                " present, or reads slowly; whether the call will be run there is unknown"
            )
            return new_timeout_error(text, "unknown")
        text = (
            f"the call was not sent to {peername} within its limit, and will not be run there: earlier"
            " messages are still on their way, because the server does not read at present, or reads slowly"
        )
        return new_timeout_error(text, "not sent")


class LimitedChannel(Channel):
    """A channel on which calls may have a limit on sending.

    Args:
        link: the protocol machine.
        transport: its transport.
        while_blocked: called by a sender while the kernel takes nothing more; it asks for its `patience`.
        peername: the server's name, for messages.

    Attributes:
        note_loss: calls a function that sends, and notes the loss of the connection instead of raising it.
        limits: the limits of the threads that are sending a call which has one, by thread.
    """

    def __init__(
        self,
        link: Link,
        transport: Transport,
        while_blocked: Callable[[], None],
        peername: str,
    ) -> None:
        super().__init__(link, transport, while_blocked)
        self.note_loss: Callable[[Callable[[], None]], object] = _call
        self.limits: dict[int, SendLimit] = {}
        self._peername = peername

    @contextlib.contextmanager
    def limit(self, deadline: float) -> Generator[None, None, None]:
        """In this context, sending a call raises `CallTimeout` when it lasts beyond the deadline."""
        me = get_ident()
        before = self.limits.get(me)  # the limit of a call that a signal handler interrupts
        try:
            self.limits[me] = SendLimit(deadline)
            yield
        finally:
            if before is None:
                self.limits.pop(me, None)
            else:
                self.limits[me] = before

    def patience(self) -> float | None:
        """Return how many seconds this thread may still try to send; None: for ever.

        Raises:
            CallTimeout: the time of its limit is over.
        """
        limit = self.limits.get(get_ident()) if self.limits else None
        if limit is None:
            return None
        limit.check(self._peername)
        return limit.seconds_left()

    def _send_posted(self) -> None:
        """Send the messages that were posted. Their errors are none of the call that takes them along: it has
        been sent, and an error would say that it has not."""
        try:
            self.note_loss(super()._send_posted)
        except CallTimeout:  # the next sender goes on with them
            pass

    def resend_posted(self) -> bool:
        """Send messages that were left to a sender which was interrupted; return whether any remain."""
        if self._posted:
            self._send_posted()
        return bool(self._posted)

    def send_in_time(self, message: Message) -> None:
        """Send a message as `send` does, but wait for other senders no longer than this thread's limit.

        Raises:
            CallTimeout: the time of the limit is over.
        """
        limit = self.limits.get(get_ident())
        if limit is None or self._send_lock.is_mine():
            self.send(message)  # which raises an error if this thread has the lock
            return
        for plans in self.link.plan_frames(message):
            held: list[bool] = []
            try:
                while not self._send_lock.take(held, limit.seconds_left()):
                    limit.check(self._peername)
                self._flush()
                limit.has_begun = True
                self.link.sender.commit(plans)
                self._flush()
            finally:
                if held:
                    self._send_lock.release()
        if self._posted:
            self._send_posted()


def _call(send: Callable[[], None]) -> None:
    send()
