"""The turn to read: the threads that wait for answers on one connection share it.

The first of them takes the turn: it reads for all and wakes each thread whose answer came; when its own
answer has come, it hands the turn to a thread that still waits. Taking the turn and giving it back is one C
call each, so no lock is needed that an interrupt, or a signal handler that makes calls itself, could find
taken.

A thread that was interrupted (Ctrl-C) while it had the turn still has it when it comes back, and goes on
reading. If it does not come back, the threads that wait notice after a while that no thread reads, and one
of them takes the turn. The lock `reading`, and not the turn, keeps two threads from reading at the same time.
"""

from __future__ import annotations

import threading
import time
from threading import get_ident
from typing import Protocol

from easycluster_client._deadlines import seconds_until
from easycluster_protocol.errors import ConnectionLost
from easycluster_server._io.interrupts import Gate

from .pending import PendingCall

#: Seconds after which a thread that waits for its turn checks whether any thread reads, and until it checks
#: once more.
_FIRST_CHECK = 1.0
_SECOND_CHECK = 0.05


class AnyGate(Protocol):
    """Where a thread without the turn waits: a `Gate`, or a gate that can be polled."""

    def open(self) -> None:
        """Open the gate, which may be open."""


class ReadTurn:
    """The turn to read one connection, and the threads that wait for it.

    Attributes:
        reading: held while something is received.
        reader: the thread that holds `reading`, or 0; it distinguishes a signal handler that interrupts the
            reading from another thread.
        gates: the gates of the threads that wait without having the turn, each with the call that its thread
            waits for; None stands for any call.
        error: why the connection ended, or None while it is open; after that no thread waits here.
        claim: ``claim(0, thread)`` takes the turn for the calling thread, if it is free, and returns the
            thread that has it then. It is one C call.
    """

    def __init__(self) -> None:
        self.reading = threading.Lock()
        self.reader = 0
        self.gates: dict[AnyGate, PendingCall | None] = {}
        self.error: ConnectionLost | None = None
        #: 0 → the thread that has the turn; empty when none has it.
        self._holder: dict[int, int] = {}
        self.claim = self._holder.setdefault

    @property
    def holder(self) -> int | None:
        """The thread that has the turn, or None."""
        return self._holder.get(0)

    def take_to_read(self) -> bool:
        """Take the turn in order to receive once; return False if another thread has it or reads."""
        me = get_ident()
        if self.claim(0, me) != me:
            return False
        if self.reading.locked():
            if self.reader != me:  # another thread reads without the turn, see `wait_at`
                self._holder.pop(0, None)
            return False
        return True

    def hand_over(self) -> None:
        """Give the turn back, if the calling thread has it, and wake a thread that waits for it."""
        if self._holder.get(0) == get_ident():
            self._holder.pop(0, None)
        if self.gates:
            self._open_next()

    def listen(self, gate: AnyGate) -> bool:
        """Open ``gate`` when another thread has read an answer or gives the turn back.

        Returns:
            Whether the turn is free: then it is up to the caller to watch the descriptor.
        """
        self.gates[gate] = None
        return not self._holder

    def forget(self, gate: AnyGate) -> None:
        """Open ``gate`` no more; the opposite of `listen`."""
        self.gates.pop(gate, None)
        # Perhaps the turn was offered to this gate a moment ago.
        if self.gates and not self._holder:
            self._open_next()

    def new_gate(self, call: PendingCall) -> Gate:
        """Return a gate at which the calling thread waits for the answer to a call."""
        gate = Gate()
        self.gates[gate] = call
        # The event that opens the gate may have come just before the gate was there to be opened.
        if call.call_is_answered or self.error is not None or not self._holder:
            self.open(gate)
        return gate

    def wait_at(self, gate: Gate, deadline: float | None = None) -> bool:
        """Wait until the gate opens, or no thread seems to read; return False when the time is over."""
        try:
            while not gate.wait(_limit_wait(_FIRST_CHECK, deadline)):
                if deadline is not None and time.monotonic() >= deadline:
                    self.forget(gate)
                    return False
                if self.reading.locked():
                    continue
                if gate.wait(_SECOND_CHECK):
                    break
                if not self.reading.locked():
                    # An interrupt kept the thread that had the turn from handing it over.
                    self._holder.pop(0, None)
                    break
            return True
        except BaseException:
            # An interrupt. Perhaps the turn had just been offered to this thread, which does not take it now.
            self.gates.pop(gate, None)
            self._open_next()
            raise
        finally:
            self.gates.pop(gate, None)

    def _open_next(self) -> None:
        """Wake one of the threads that wait: it takes the turn, unless its answer has come or another thread
        is faster."""
        for gate in list(self.gates):
            self.open(gate)
            return

    def open(self, gate: AnyGate) -> None:
        """Open a gate and forget it."""
        # In this order, so that an interrupt between the two leaves no thread behind a closed gate.
        gate.open()
        self.gates.pop(gate, None)

    def open_gates_of(self, call: PendingCall | None) -> None:
        """Wake the threads that wait for this call or for any call; None: wake all threads."""
        for gate, waiting in list(self.gates.items()):
            if call is None or waiting is call or waiting is None:
                self.open(gate)


def _limit_wait(seconds: float, deadline: float | None) -> float:
    return seconds if deadline is None else min(seconds, seconds_until(deadline) or 0.0)
