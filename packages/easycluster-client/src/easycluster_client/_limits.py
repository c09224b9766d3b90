"""Sending a call that has a limit: neither other senders nor a slow server make it last longer."""

from __future__ import annotations

import time

from easycluster_protocol._messages import Message
from easycluster_protocol.errors import CallTimeout
from easycluster_server._channel import Channel

from . import _timeouts


class SendLimit:
    """Until when a thread tries to send a call.

    Args:
        deadline: on the clock of `time.monotonic`.

    Attributes:
        begun: whether something of the call has been sent, or will be by whoever sends next.
    """

    __slots__ = ("begun", "deadline")

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.begun = False

    def left(self) -> float:
        """Return the seconds until then, of what can be waited for at once."""
        return _timeouts.left_until(self.deadline) or 0.0

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
                f"the call was not sent whole to {peername} within its limit, for that takes nothing in at"
                " present; whether it will be run there is unknown"
            )
            return _timeouts.error(text, "unknown")
        text = (
            f"the call was not sent to {peername} within its limit, and will not be run there: what was sent"
            " before takes longer, for the server takes nothing in at present, or slowly"
        )
        return _timeouts.error(text, "not sent")


class LimitedChannel(Channel):
    """A channel with senders that have limits."""

    def send_in_time(self, message: Message, limit: SendLimit, peername: str) -> None:
        """Send ``message`` as `send` does, but wait for other senders no longer than the limit. While this
        thread itself cannot send, `while_blocked` has to look at the limit.

        Raises:
            CallTimeout: the time was over.
        """
        if self._send_lock._is_owned():
            self.send(message)  # which says what is wrong
        for plans in self.link.plans(message):
            taken: list[bool] = []
            try:
                while not (taken and taken[-1]):
                    # One C call, see `send_at_once`.
                    taken.extend(map(self._send_lock.acquire, (True,), (limit.left(),)))
                    if not taken[-1]:
                        limit.check(peername)
                self._flush()
                limit.begun = True
                self.link.sender.commit(plans)
                self._flush()
            finally:
                if taken and taken[-1]:
                    self._send_lock.release()
        if self._posted:
            self._send_posted()
