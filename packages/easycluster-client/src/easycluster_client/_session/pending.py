"""Pending calls: the part of a response that a session needs, and the calls under way on one session."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from easycluster_protocol._wire.messages import Message
from easycluster_protocol.errors import ConnectionLost

if TYPE_CHECKING:
    from typing_extensions import Self


class PendingCall:
    """One call, as far as its session is concerned.

    The responses that scripts hold are pending calls with more methods. Scripts set attributes of their own
    on responses, so all names but the published one begin with ``call_``.

    Attributes:
        request_id: the number of the call on its connection.
        call_label: the name of the function, for messages.
        call_is_sent: whether all of it was handed to the kernel; None: a thread is still sending it.
        call_is_answered: whether the answer has come or the connection was lost.
        call_is_started: whether the server has said that a thread runs the call.
        call_is_watched: whether the call has watchers or completion functions.
        call_answer: the message with the answer.
        call_loss: the error of a connection that was lost before the answer came.
    """

    # These defaults are in the class, because each call makes a response and most responses need none.
    request_id = 0
    call_label = ""
    call_is_sent: bool | None = None
    call_is_answered = False
    call_is_started = False
    call_is_watched = False
    call_answer: Message | None = None
    call_loss: ConnectionLost | None = None
    _watchers: list[Callable[[Any], object]] | None = None

    def call_lose(self, error: ConnectionLost) -> None:
        """Note that the connection was lost, unless the answer has come."""
        if not self.call_is_answered:
            self.call_loss = error
            self.call_is_answered = True

    def call_add_watcher(self, watcher: Callable[[Self], object]) -> None:
        """Call ``watcher(self)`` as soon as the call is answered, or now if it is.

        The thread that reads makes this call in the middle of reading, perhaps more than once: a watcher must
        neither raise nor wait.
        """
        watchers: list[Callable[[Self], object]] = vars(self).setdefault("_watchers", [])
        watchers.append(watcher)
        self.call_is_watched = True
        # In this order: the thread that reads sets `call_is_answered` first and looks for watchers then.
        if self.call_is_answered:
            watcher(self)

    def call_remove_watcher(self, watcher: Callable[[Self], object]) -> None:
        """Remove a watcher; one that was never added counts as removed."""
        try:
            (self._watchers or []).remove(watcher)
        except ValueError:
            pass

    def call_tell_watchers(self) -> None:
        """Call the watchers."""
        for watcher in tuple(self._watchers or ()):
            watcher(self)

    def call_complete(self) -> None:
        """Call the completion functions; a call that no script holds has none."""


class PendingCalls:
    """The calls under way on one session.

    Attributes:
        by_number: the calls that have no answer yet, by their numbers.
        find: ``find(number)`` returns the call that an answer belongs to, or None.
        arrived: the calls whose answer has come and whose completion functions have not been called yet.
    """

    def __init__(self) -> None:
        self.by_number: dict[int, PendingCall] = {}
        self.find: Callable[[int], PendingCall | None] = self.by_number.get
        self.arrived: list[PendingCall] = []

    def __len__(self) -> int:
        return len(self.by_number) + len(self.arrived)

    def settle(self, number: int, call: PendingCall) -> None:
        """Take out a call that has its answer; a watched one moves to `arrived`."""
        if not call.call_is_watched:
            self.by_number.pop(number, None)
            return
        # Before it is taken out: after an interrupt in here the answer is delivered again.
        call.call_tell_watchers()
        try:
            # One C call: a call that is settled twice, because of an interrupt, is completed once.
            self.arrived.extend(map(self.by_number.pop, (number,)))
        except KeyError:
            pass

    def ignore_answers(self) -> None:
        """Find no call for answers that come from now on."""
        self.find = _find_none

    def lose(
        self, number: int, call: PendingCall, new_error: Callable[[PendingCall], ConnectionLost]
    ) -> None:
        """Lose a call, unless it has its answer.

        Args:
            number: its number.
            call: the call.
            new_error: returns the error that it gets.
        """
        if not call.call_is_answered:
            call.call_lose(new_error(call))
        self.settle(number, call)

    def lose_all(self, new_error: Callable[[PendingCall], ConnectionLost]) -> None:
        """Lose every call; each gets an error of its own.

        A call that is being sent is left to the thread that sends it: only that knows whether it was sent.
        """
        for number, call in list(self.by_number.items()):
            if call.call_is_sent is not None:
                self.lose(number, call, new_error)

    def abandon_all(self, new_error: Callable[[PendingCall], ConnectionLost]) -> None:
        """Lose every call in a forked process, where no completion function is called."""
        for call in self.by_number.values():
            call.call_lose(new_error(call))
        self.by_number.clear()
        self.arrived.clear()


def _find_none(_: int) -> None:
    """Find no call."""
