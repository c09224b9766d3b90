"""Waiting for several descriptors at once, and ending such a wait from elsewhere."""

from __future__ import annotations

import os
import select
from typing import Collection, List, Optional

#: Seconds after which a wait of the main thread has to end so that signal handlers run; None: signals end it.
LONGEST_WAIT: Optional[float] = None


def wait_for_any(readable: Collection[int], timeout: Optional[float]) -> List[int]:
    """Wait until one of several descriptors can be read, or has failed.

    Args:
        readable: the descriptors.
        timeout: in seconds; None waits for ever.

    Returns:
        Those that can be read, or have failed.
    """
    poll = select.poll()
    for descriptor in readable:
        poll.register(descriptor, select.POLLIN)
    return [descriptor for descriptor, _ in poll.poll(None if timeout is None else max(0, timeout * 1000))]


class Wakeup:
    """A descriptor that can be read once somebody has called `wake`."""

    def __init__(self) -> None:
        self._reading, self._writing = os.pipe()
        for end in (self._reading, self._writing):
            os.set_blocking(end, False)

    def fileno(self) -> int:
        """Return the descriptor, or -1 when it is closed."""
        return self._reading

    def wake(self) -> None:
        """Make the descriptor readable; takes no lock, so signal handlers and finalisers may call it."""
        if self._writing >= 0:
            try:
                os.write(self._writing, b"x")
            except BlockingIOError:  # the pipe is full, so somebody will wake anyway
                pass

    def drain(self) -> None:
        """Make the descriptor unreadable until `wake` is called again."""
        try:
            os.read(self._reading, 4096)
        except BlockingIOError:
            pass

    def close(self) -> None:
        """Close the descriptors."""
        descriptors = self._reading, self._writing
        self._reading = self._writing = -1
        for descriptor in descriptors:
            if descriptor >= 0:
                os.close(descriptor)
