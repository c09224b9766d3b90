"""The log of a session on a server that logs: a line for each call, and one when the client goes.

The log never names arguments or values: they may be secrets.
"""

from __future__ import annotations

import itertools

# Taken now: remote code may put something else in the places of these.
from os import getpid
from time import localtime, monotonic, strftime, time
from typing import Callable, Dict, Optional

from easycluster_server._io.interrupts import FirstOf
from easycluster_server._system.control import CLOSED
from easycluster_server._system.output import standard_error

#: The length in characters from which on names are cut: a client may choose any.
_MAX_NAME = 100


def stamp() -> str:
    """Return the time, as the log of the listener has it."""
    now = time()
    return strftime("%Y-%m-%d %H:%M:%S", localtime(now)) + f",{int(now % 1 * 1000):03d} "


def clean(name: str) -> str:
    """Return a name that a client chose, fit for a line of the log."""
    shown = name if name.isprintable() else ascii(name)[1:-1]
    return shown if len(shown) <= _MAX_NAME else shown[:_MAX_NAME] + "..."


def count(number: int, noun: str) -> str:
    """Return a number and its noun."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


class LoggedCall:
    """A call that is under way.

    Attributes:
        label: names it in the log.
        begin: when the function was called, on the clock of `time.monotonic`.
        stream: the number of the file or iterator whose method it calls, or 0.
        method: the name of that method.
        argument_size: how much it is to write.
    """

    def __init__(self) -> None:
        self.label = "something unknown"
        self.begin = monotonic()
        self.stream = 0
        self.method = ""
        self.argument_size = 0


class SessionLog:
    """Writes the log of one session.

    Args:
        peer: the client.
        verbosity: 1 logs the end of the session, 2 calls as well.

    Attributes:
        with_calls: whether calls are logged.
        last_lines: called before the line of the end is written.
    """

    def __init__(self, peer: str, verbosity: int) -> None:
        self.with_calls = verbosity >= 2
        self.last_lines: Callable[[], object] = int
        self._peer = peer
        self._pid = getpid()
        self._verbosity = verbosity
        self._begin = monotonic()
        self._numbers = itertools.count()
        self._under_way: Dict[int, LoggedCall] = {}
        self._ended = FirstOf()
        standard_error.prefix = stamp

    def write(self, text: str) -> None:
        """Write a line about the client; a process that remote code has forked writes none."""
        if getpid() == self._pid:
            standard_error.say(f"{self._peer} {text}")

    def begin(self, request: int) -> LoggedCall:
        """Note that a call has come."""
        next(self._numbers)
        call = self._under_way[request] = LoggedCall()
        return call

    def find(self, request: int) -> Optional[LoggedCall]:
        """Return a call whose outcome is not known yet."""
        return self._under_way.get(request)

    def finish(self, request: int, line: str) -> None:
        """Write the line of a call, which is over.

        Args:
            request: its number.
            line: the line, or "".
        """
        if line:
            self.write(line)
        self._under_way.pop(request, None)

    def end(self, outcome: str) -> None:
        """Write that the client has gone; may be called twice, in any thread.

        Args:
            outcome: how the connection ended.
        """
        me = object()
        if not self._verbosity or self._ended.set(me) is not me:
            return
        self.last_lines()
        how = "closed the connection" if outcome == CLOSED else "was lost"
        labels = [call.label for call in list(self._under_way.values())]
        within = f", in the middle of {', '.join(labels[:3])}" if labels else ""
        calls = f"{count(next(self._numbers), 'call')}, " if self.with_calls else ""
        self.write(f"{how} after {calls}{monotonic() - self._begin:.1f} s{within}")
