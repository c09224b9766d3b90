"""The guardian of a client's code that runs as another user than its server.

That code brings guardian and worker of its own version, and both have the rights of that user. So other
processes of the user can end its guardian, or stop it. The guardian here keeps the rights of the server. It
leaves everything to the inner one for as long as that works, and ends what is left when it does not.
"""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING, Callable, Optional

from easycluster_server._system.output import standard_error

from .guardian import CLOSE_GRACE, KILL_GRACE, LOSS_GRACE, REPORT_GRACE, Guardian
from .libc import become_subreaper, die_with_parent

if TYPE_CHECKING:
    from types import FrameType

    from easycluster_server._system.transport_types import Transport

#: Seconds that the inner guardian has once the connection has ended: as long as it ever takes, and a little.
_PATIENCE = REPORT_GRACE + max(CLOSE_GRACE, LOSS_GRACE) + 2 * KILL_GRACE + 1.0


def fork_from_guardian(transport: Transport, descriptor: int, tell: Callable[[str], object]) -> None:
    """Become the guardian of a new process; only that one returns.

    Args:
        transport: the connection.
        descriptor: what the new process alone is to hold.
        tell: tells the client that the inner guardian was killed.

    Raises:
        OSError: there can be no new process.
    """
    standard_error.pin()
    become_subreaper()
    guardian = os.getpid()
    # The inner guardian does not speak; so this pipe is never read, and never at its end.
    control, wakeup = os.pipe(), os.pipe()
    # Until it can be passed on.
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM,))
    inner = os.fork()
    if inner == 0:
        for each in (*control, *wakeup):
            os.close(each)
        die_with_parent(guardian)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM,))
        os.setsid()
        return
    os.close(descriptor)
    OuterGuardian(inner, transport, control[0], wakeup, tell).watch()
    os._exit(0)


class OuterGuardian(Guardian):
    """Watches over an inner guardian; the arguments are those of `Guardian`."""

    def watch(self) -> None:
        """Watch until the inner guardian, and if it failed all that it has left, have gone."""
        self._reap()
        while not self._worker_ended:
            timeout = None if self._deadline is None else self._deadline - time.monotonic()
            if timeout is not None and timeout <= 0:
                break
            self._wait_for_event(timeout)
        if self._worker_status != 0:
            if self._worker_status is not None and os.WIFSIGNALED(self._worker_status):
                self._say_how_it_ended()
            self._end_everything()
        self._reap_all()

    def _note_end(self) -> None:
        if self._deadline is None:
            self._deadline = time.monotonic() + _PATIENCE

    def _on_end_request(self, number: int, frame: Optional[FrameType]) -> None:
        """Let the inner guardian end the connection."""
        self._note_end()
        if not self._worker_ended:  # then the number is still that of the inner guardian
            os.kill(self._worker, signal.SIGTERM)
