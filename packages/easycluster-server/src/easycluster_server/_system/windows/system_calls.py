"""Single requests to Windows."""

from __future__ import annotations

import _socket
import signal
from typing import Callable, Optional


def host_name() -> str:
    """Return the name of this computer."""
    return _socket.gethostname()


#: What `interrupt_main_thread` sends to cancel a call: no other signal ends a sleep.
CANCEL_SIGNAL = int(signal.SIGINT)


def interrupt_main_thread(number: int = signal.SIGINT) -> None:
    """Run the handler of a signal in the main thread, at once if that thread sleeps.

    Another wait of that thread in the system is not cut short.
    """
    signal.raise_signal(number)


def reset_signals() -> None:
    """Give all signals the meaning that they have in a new process."""
    for number in signal.valid_signals():
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.set_wakeup_fd(-1)


def call_at_fork(
    in_child: Callable[[], object],
    before: Callable[[], object] = int,
    in_parent: Callable[[], object] = int,
) -> None:
    """Do nothing: there are no forks here."""


def read_umask() -> Optional[int]:
    """Return None: files have access control lists here."""
    return None
