"""Whose turn it is to read: the threads that wait for an answer share one turn.

The first of them leads: it reads for all and wakes each whose answer came; when its own has come it
hands the turn to one who still waits. `_turn` says who leads; taking and giving it back is one C call
each, so that no lock is needed that an interrupt, or a signal handler that makes calls itself, could
find taken.

A thread that was interrupted (Ctrl-C) while it led finds its own name in `_turn` when it comes back,
and leads on. When it does not come back, those who wait see after a while that nobody reads. That
nobody reads beside another is up to `_reading`, not to `_turn`.
"""

from __future__ import annotations

import threading
import time
from threading import get_ident
from typing import Any

from easycluster_client import _deadlines
from easycluster_client._calls.response import NonblockingResponse
from easycluster_protocol.errors import ConnectionLost

#: Seconds after which a thread that waits for its turn looks whether anybody reads, and once more.
_LOOK_AFTER = 1.0
_LOOK_AGAIN = 0.05


class Turns:
    """Base class of `ClientSession`."""

    def __init__(self) -> None:
        #: 0 → the thread that leads; empty when nobody does.
        self._turn: dict[int, int] = {}
        self._reading = threading.Lock()
        #: The thread that has it, or 0.
        self._reader = 0
        # Where the threads that do not lead wait, each at a gate of its own, and for what; None: for
        # any answer. A gate is a lock, or whatever else has `release`.
        self._gates: dict[Any, NonblockingResponse | None] = {}
        self._error: ConnectionLost | None = None

    @property
    def error(self) -> ConnectionLost | None:
        """Why the connection ended, or None while it is open."""
        return self._error

    def listen(self, gate: Any) -> bool:
        """Let ``gate.release()`` be called when another thread has read an answer or ceases to lead.

        Returns:
            Whether nobody leads, so that watching the descriptor is up to the caller.
        """
        self._gates[gate] = None
        return not self._turn

    def forget(self, gate: Any) -> None:
        """End what `listen` began."""
        self._gates.pop(gate, None)
        # Perhaps the lead was offered to this gate just now.
        if self._gates and not self._turn:
            self._open_next()

    def _queue(self, response: NonblockingResponse) -> threading.Lock:
        """Return the gate at which this thread has to wait."""
        gate = threading.Lock()
        gate.acquire()
        self._gates[gate] = response
        # What opens it may have come just before it was there to be opened.
        if response._done or self._error is not None or not self._turn:
            self._open(gate)
        return gate

    def _wait_at(self, gate: threading.Lock, deadline: float | None = None) -> bool:
        """Wait until the gate opens, or perhaps nobody reads; return False when the time is over."""
        try:
            while not gate.acquire(True, _shorter(_LOOK_AFTER, deadline)):
                if deadline is not None and time.monotonic() >= deadline:
                    self.forget(gate)
                    return False
                if self._reading.locked() or gate.acquire(True, _LOOK_AGAIN) or self._reading.locked():
                    continue
                self._turn.pop(0, None)  # whoever had the turn was kept from handing it over
                break
            return True
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

    def _open_gates_of(self, response: NonblockingResponse | None) -> None:
        """Wake those that wait for this answer or for any; all of them when it is not known which it was."""
        for gate, waiting in list(self._gates.items()):
            if response is None or waiting is response or waiting is None:
                self._open(gate)


def _shorter(seconds: float, deadline: float | None) -> float:
    return seconds if deadline is None else min(seconds, _deadlines.left_until(deadline) or 0.0)
