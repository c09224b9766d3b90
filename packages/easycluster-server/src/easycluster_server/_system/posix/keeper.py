"""The keeper, the parent of a guardian: it ends what a guardian has left that was killed.

It does nothing but wait, holds nothing of the connection, and is the subreaper of what a guardian leaves.
What is left by a guardian that ended by itself was to be left: then the keeper ends at once.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, List

from .libc import become_subreaper, die_with_parent

if TYPE_CHECKING:
    import signal

    from .proc import Process
else:
    import _signal as signal  # the other half takes 3 ms to import, and is not needed

#: The signals that the keeper passes on, and the one that wakes it.
_SIGNALS = signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD

#: All signals that a user or a terminal may send: nothing but SIGKILL ends a keeper ahead of its guardian.
_BLOCKED = range(1, 32)

#: Seconds between SIGTERM and SIGKILL, those for which what survives is killed again, and those between two
#: looks.
_GRACE = 0.5
_POLL_INTERVAL = 0.02

#: More bytes than the pipe of the notes holds.
_MANY_NOTES = 1 << 20

#: Descriptors of our processes are lower.
_MANY_DESCRIPTORS = 2048


def fork_from_keeper() -> int:
    """Become the keeper of a new process, the guardian; only that one returns, with signals blocked.

    Returns:
        The descriptor on which the guardian notes the id of the worker, with a zero, and after it processes
        to spare, each with its start time: numbers with blanks between.

    Raises:
        OSError: there can be no new process, or no pipe. The caller has to end.
    """
    reading, writing = os.pipe()
    keeper = os.getpid()
    signal.signal(signal.SIGCHLD, lambda number, frame: None)  # where it is ignored, nobody can be waited for
    signal.pthread_sigmask(signal.SIG_BLOCK, _BLOCKED)
    guardian = os.fork()
    if guardian == 0:
        os.close(reading)
        os.set_blocking(writing, False)
        die_with_parent(keeper, signal.SIGTERM)
        return writing  # `Guardian` unblocks the signals when it can obey, and a worker when it is ready
    status = 1
    try:
        status = _keep(guardian, reading)
    finally:
        os._exit(status)


def _keep(guardian: int, notes: int) -> int:
    """Wait for the end of the guardian; return the status of this process."""
    become_subreaper()
    os.dup2(notes, 0)
    os.closerange(1, _MANY_DESCRIPTORS)
    ended = status = 0
    while not ended:
        number = signal.sigwait(_SIGNALS)
        if number != signal.SIGCHLD:  # the guardian has not been waited for, so its id is still its own
            os.kill(guardian, number)
        ended, status = os.waitpid(guardian, os.WNOHANG)
    if os.WIFSIGNALED(status):
        _end_what_is_left()
        os.kill(os.getpid(), os.WTERMSIG(status))  # who waits for the keeper sees the same end
    return status >> 8


def _end_what_is_left() -> None:
    from . import proc  # over ssh it has to be compiled

    os.set_blocking(0, False)
    try:
        numbers = list(map(int, os.read(0, _MANY_NOTES).split()))
    except BlockingIOError:  # the guardian was killed before it had noted anything
        numbers = []
    spared = set(zip(numbers[2::2], numbers[3::2]))

    def find_rest() -> List[Process]:
        table = proc.read_processes()
        if table or not numbers:
            return proc.find_descendants_except(spared, os.getpid(), table)
        return [proc.Process(-numbers[0], 0, 0, 0, "")]  # its process group

    proc.send_signal(find_rest(), signal.SIGTERM)
    deadline = time.monotonic() + _GRACE
    while find_rest() and time.monotonic() < deadline:
        time.sleep(_POLL_INTERVAL)
    while find_rest() and time.monotonic() < deadline + _GRACE:
        proc.send_signal(find_rest(), signal.SIGKILL)
        time.sleep(_POLL_INTERVAL)
