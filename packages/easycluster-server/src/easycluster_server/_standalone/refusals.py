"""The log of refused peers: the first few of a minute in full, the others as one line with their number.

Anybody who can reach the port can make a line of it, so their number is bounded.
"""

from __future__ import annotations

import logging
import time
from typing import Callable, Optional

#: Refused peers that are logged in full within each period, and its length in seconds.
SHOWN = 5
PERIOD = 60.0

log = logging.getLogger("easycluster.server")


class RefusalLog:
    """Logs refused peers.

    Args:
        clock: the time in seconds, for tests.

    Attributes:
        deadline: when `tell_rest` is to be called; None: there is nothing to tell.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._shown = 0
        self._more = 0
        self._last = ""
        self._end = 0.0
        self.deadline: Optional[float] = None

    def note(self, name: str, reason: str) -> None:
        """Log that a peer was refused, or count it.

        Args:
            name: the address of the peer.
            reason: why.
        """
        if self._may_show(f"{name}: {reason}"):
            log.warning("connection from %s refused: %s", name, reason)

    def note_failure(self, error: OSError) -> None:
        """Log that a connection could not be accepted, or count it."""
        if self._may_show(str(error)):
            log.warning("a connection could not be accepted: %s", error)

    def _may_show(self, text: str) -> bool:
        """Return whether a line may be logged now; count it if not."""
        self.tell_rest()
        if self._shown == 0:
            self._end = self._clock() + PERIOD
        if self._shown < SHOWN:
            self._shown += 1
            return True
        self._more += 1
        self._last = text
        self.deadline = self._end
        return False

    def tell_rest(self, even_early: bool = False) -> None:
        """Log the number of peers that were only counted, if their minute is over.

        Args:
            even_early: the server ends.
        """
        if not even_early and self._clock() < self._end:
            return
        if self._more:
            peers = "1 more peer was" if self._more == 1 else f"{self._more} more peers were"
            log.warning("%s refused in the last minute; the last: %s", peers, self._last)
        self._shown = self._more = 0
        self.deadline = None
