"""Sending a call that has a limit: neither other senders nor a slow server make it last longer."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Generator
from threading import get_ident
from typing import Any

from easycluster_client._deadlines import new_timeout_error, seconds_until
from easycluster_protocol._wire.link import Link
from easycluster_protocol._wire.messages import Message
from easycluster_protocol.errors import CallTimeout
from easycluster_server._io.channel import Channel


class SendLimit:
    """The deadline of one thread's attempt to send a call.

    Args:
        deadline: on the clock of `time.monotonic`.

    Attributes:
        begun: whether a part of the call has been sent, or will be by the next thread that sends.
    """

    __slots__ = ("begun", "deadline")

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.begun = False

    def left(self) -> float:
        """Return the seconds until then, of what can be waited for at once."""
        return seconds_until(self.deadline) or 0.0

    def check(self, peername: str) -> None:
        """Raise when the time is over.

        Raises:
            CallTimeout: it says what has become of the call.
        """
        if time.monotonic() >= self.deadline:
            raise self._error(peername)

    def _error(self, peername: str) -> CallTimeout:
        if self.begun:
            text = (
                f"the call was sent in part to {peername} within its limit, for the server takes nothing in"
                " at present, or slowly; whether it will be run there is unknown"
            )
            return new_timeout_error(text, "unknown")
        text = (
            f"the call was not sent to {peername} within its limit, and will not be run there: what was sent"
            " before takes longer, for the server takes nothing in at present, or slowly"
        )
        return new_timeout_error(text, "not sent")


class LimitedChannel(Channel):
    """A channel with senders that have limits.

    Args:
        link: the protocol machine.
        transport: its transport.
        while_blocked: called by a sender while the kernel takes nothing more; it asks for its `patience`.
        peername: the server's name, for messages.

    Attributes:
        limits: the threads that are sending a call which has a limit → that limit.
    """

    def __init__(self, link: Link, transport: Any, while_blocked: Callable[[], None], peername: str) -> None:
        super().__init__(link, transport, while_blocked)
        self.limits: dict[int, SendLimit] = {}
        self._peername = peername

    @contextlib.contextmanager
    def limit(self, deadline: float) -> Generator[None, None, None]:
        """Let a call that this thread sends inside raise `CallTimeout` when that takes longer."""
        me = get_ident()
        before = self.limits.get(me)  # of a call that a signal handler interrupts
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
            CallTimeout: its limit is over.
        """
        limit = self.limits.get(get_ident()) if self.limits else None
        if limit is None:
            return None
        limit.check(self._peername)
        return limit.left()

    def resend_posted(self) -> bool:
        """Send messages that were left to a sender which was interrupted since; return whether some are
        left."""
        if self._posted:
            self._send_posted()
        return bool(self._posted)

    def send_in_time(self, message: Message) -> None:
        """Send ``message`` as `send` does, but wait for other senders no longer than this thread's limit.

        Raises:
            CallTimeout: the limit is over.
        """
        limit = self.limits.get(get_ident())
        if limit is None or self._send_lock.is_mine():
            self.send(message)  # which raises the error for a lock that this thread has
            return
        for plans in self.link.plan_frames(message):
            taken: list[bool] = []
            try:
                while not (taken and taken[-1]):
                    # One C call, see `send_at_once`.
                    taken.extend(map(self._send_lock.acquire, (True,), (limit.left(),)))
                    if not taken[-1]:
                        limit.check(self._peername)
                self._flush()
                limit.begun = True
                self.link.sender.commit(plans)
                self._flush()
            finally:
                if taken and taken[-1]:
                    self._send_lock.release()
        if self._posted:
            self._send_posted()
