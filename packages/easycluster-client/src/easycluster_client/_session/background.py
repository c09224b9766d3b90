"""The background thread of a `ThreadedClient`.

It reads while no other thread does, calls completion functions, ends server threads whose local threads have
ended, gives back proxies that are gone, and checks that the server is alive.

It holds its session by a weak reference, so that a client which is dropped is collected. The thread ends
then, or when the client is closed; no error of the functions that it calls ends it.
"""

from __future__ import annotations

import threading
import traceback
import weakref
from collections import deque
from threading import get_ident
from time import monotonic

from easycluster_protocol._wire import messages as m
from easycluster_protocol.errors import ConnectionLost
from easycluster_server._system.error_stream import print_error

from .threaded_session import ThreadedSession
from .watch import Watch

#: Seconds to wait for a thread that has the turn and does not read. Such a thread is about to read, or has
#: just read; only a thread that was interrupted is still in that state after the second check.
_HOLDER_CHECKS = (0.001, 0.05)

#: Seconds for which the receipts of proxies that are gone wait for a call that takes them along.
_RELEASE_DELAY = 0.05

#: Seconds until the next check whether a sender has taken along the messages that were left to it.
_POSTED_INTERVAL = 0.05

#: Seconds until the next step after one that failed, which no step ever should.
_FAILURE_PAUSE = 1.0

#: Returned in place of a delay when nothing is left to do.
_NEVER = -1.0


class EndedThreads:
    """The server threads whose local threads have ended, until the background thread ends them.

    Attributes:
        numbers: the numbers of these server threads.
        watch: wakes the background thread; None: there is none.
    """

    def __init__(self) -> None:
        self.numbers: deque[int] = deque()
        self.watch: Watch | None = None

    def add(self, number: int) -> None:
        """Note a server thread. Finalisers call this: it neither sends, nor waits, nor takes a lock."""
        self.numbers.append(number)
        self.wake()

    def wake(self) -> None:
        """Wake the background thread, which ends the noted server threads."""
        watch = self.watch
        if watch is not None:
            watch.wake()


def start_background(session: ThreadedSession, ended: EndedThreads) -> None:
    """Start the background thread of a session."""
    ended.watch = session.watch
    background = _Background(session, ended)
    threading.Thread(target=background.run, name="easycluster-background", daemon=True).start()


class _Background:
    def __init__(self, session: ThreadedSession, ended: EndedThreads) -> None:
        self._watch = session.watch
        self._ended = ended
        self._session = weakref.ref(session, self._watch.wake)
        #: A thread that had the turn and did not read even after the second check.
        self._absent: int | None = None
        #: When to give receipts back, on the clock of `time.monotonic`; None: there are none to give back.
        self._release_at: float | None = None

    def run(self) -> None:
        """Run until the session is closed or dropped."""
        timeout: float | None = 0.0
        while timeout != _NEVER:
            timeout = self._step(self._watch.wait(timeout))
        if self._ended.watch is self._watch:
            self._ended.watch = None

    def _step(self, reported: bool) -> float | None:
        """Do everything that is due; return the seconds until the next step, or `_NEVER`."""
        session = self._session()
        if session is None:
            return _NEVER
        session.background = get_ident()
        # Read this before the answers are dealt with: `close` delivers the last ones and then sets it.
        is_closed = session.is_closed
        try:
            timeout = self._serve(session, reported)
        except BaseException:
            _report("the background thread", session)
            timeout = _FAILURE_PAUSE
        if is_closed:
            session.release_watch()
            return _NEVER
        return timeout

    def _serve(self, session: ThreadedSession, reported: bool) -> float | None:
        timeout = None
        if session.error is None and not session.is_closing:
            if reported or session.has_leftovers:
                self._read(session)
            self._stop_threads(session)
            timeout = _choose_earliest(session.keep_alive.check(session), self._give_back(session))
            if session.resend_posted():
                timeout = _choose_earliest(timeout, _POSTED_INTERVAL)
        _run_completions(session)
        # A thread that is reading arms the watch when it has read.
        if session.error is None and not session.turn.reading.locked():
            session.arm()
        return timeout

    def _read(self, session: ThreadedSession) -> None:
        """Receive everything that has come, unless another thread receives: then that is up to it."""
        while not session.turn.reading.locked():
            if session.turn.take_to_read():
                try:
                    # Completion functions do not wait until a stream of answers has an end.
                    while session.receive_in_background() and not session.arrived and not session.turn.gates:
                        pass
                finally:
                    session.turn.hand_over()
                return
            if self._is_holder_absent(session):
                session.receive_in_background()
                return

    def _is_holder_absent(self, session: ThreadedSession) -> bool:
        """Return whether the thread that has the turn does not read: it was interrupted and may not come
        back."""
        holder = session.turn.holder
        for pause in _HOLDER_CHECKS:
            if session.turn.reading.locked() or session.turn.holder != holder:
                return False
            if holder != self._absent:
                self._watch.wait(pause)
        self._absent = holder
        return True

    def _give_back(self, session: ThreadedSession) -> float | None:
        """Give back the receipts that no call has taken along for a while; return the seconds until the next
        check, None: none is needed."""
        if not session.garbage_noted:
            return None
        now = monotonic()
        if self._release_at is None:
            self._release_at = now + _RELEASE_DELAY
        if now < self._release_at:
            return self._release_at - now
        self._release_at = None
        session.garbage_noted = False
        session.give_back()
        if session.references.garbage:  # the kernel takes nothing at present
            session.garbage_noted = True
            return _RELEASE_DELAY
        return None

    def _stop_threads(self, session: ThreadedSession) -> None:
        try:
            while self._ended.numbers:
                session.control(m.STOP_THREAD, self._ended.numbers.popleft())
        except ConnectionLost:  # the server's threads have ended with it
            pass


def _choose_earliest(*timeouts: float | None) -> float | None:
    return min((each for each in timeouts if each is not None), default=None)


def _run_completions(session: ThreadedSession) -> None:
    """Call the completion functions of the answers that have arrived."""
    while session.arrived:
        session.completing = 1  # first: a thread that waits for all calls finds the call here or in `arrived`
        call = session.arrived.pop(0)
        try:
            call.call_complete()
        except BaseException:
            _report(f"a completion function of {call.call_label}()", session)
        session.completing = 0
        if session.turn.gates:
            session.turn.open_gates_of(call)


def _report(where: str, session: ThreadedSession) -> None:
    """Print the exception that is being handled; there is no caller in whom it could be raised."""
    text = f"Exception in {where}, with {session.peername}:\n{traceback.format_exc()}"
    print_error(text)
