"""Single requests to a POSIX system."""

from __future__ import annotations

import os
import sys
import threading
from typing import TYPE_CHECKING, Callable

if TYPE_CHECKING:
    import signal
else:
    import _signal as signal  # the other half takes 3 ms to import, and is not needed


def host_name() -> str:
    """Return the name of this computer."""
    return os.uname()[1]


#: What `interrupt_main_thread` sends to cancel a call. Programs ignore it unless they ask for it, so one that
#: has taken the place of the process by `exec` lives.
CANCEL_SIGNAL = signal.SIGURG


def interrupt_main_thread(number: int = signal.SIGINT) -> None:
    """Send a signal to the main thread, also in the middle of a system call."""
    signal.pthread_kill(threading.main_thread().ident or 0, number)


def reset_signals() -> None:
    """Give all signals the meaning and the mask that they have in a new process."""
    for number in range(1, signal.NSIG):
        try:
            if number not in (signal.SIGKILL, signal.SIGSTOP, signal.SIGPIPE, getattr(signal, "SIGXFSZ", 0)):
                signal.signal(number, signal.SIG_DFL)
        except (OSError, ValueError):  # this system has no such signal
            pass
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.set_wakeup_fd(-1)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def call_at_fork(
    in_child: Callable[[], object],
    before: Callable[[], object] = int,
    in_parent: Callable[[], object] = int,
) -> None:
    """Have functions called at each fork from now on, from Python 3.7 on; older ones tell nobody of forks.

    Args:
        in_child: called in the child.
        before: called before the fork.
        in_parent: called in the parent afterwards.
    """
    if sys.version_info >= (3, 7):
        os.register_at_fork(before=before, after_in_child=in_child, after_in_parent=in_parent)  # novm
