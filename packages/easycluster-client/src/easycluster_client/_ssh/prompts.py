"""The limit on making a connection, which does not run while the user is asked something."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable

from easycluster_protocol.errors import ConnectError
from easycluster_server._io.transport import wait
from easycluster_server._system import proc

#: Seconds that making a connection may take unless the user says otherwise.
CONNECT_TIMEOUT = 30.0

#: The longest limit: a day.
_LONGEST = 86400

#: Seconds between two looks whether the user is being asked; when hardly any are left they are fewer.
_LOOK = 0.25
_SHORTEST = 0.02


def check_timeout(seconds: float) -> float:
    """Return a limit that can be used.

    Raises:
        ValueError: it is no positive number of seconds.
    """
    if not isinstance(seconds, (int, float)) or not 0 < seconds <= _LONGEST:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ValueError(
            f"connect_timeout must be a number of seconds, from above 0 to {_LONGEST}, not {seconds!r}"
        )
    return float(seconds)


def _never() -> bool:
    return False


class Deadline:
    """How much time is left for connecting.

    Args:
        seconds: the limit.
        is_prompting: returns whether the user is being asked something just now.
    """

    def __init__(self, seconds: float, is_prompting: Callable[[], bool] = _never) -> None:
        self._seconds = seconds
        self._is_prompting = is_prompting
        self._end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds that are left."""
        return max(0.0, self._end - time.monotonic())

    def wait(self, read: int, write: int = -1) -> None:
        """Wait until there is something to read, or room to write.

        Args:
            read: the descriptor to read from, or -1.
            write: the descriptor to write to, or -1.

        Raises:
            ConnectError: the time is over.
        """
        while True:
            begin = time.monotonic()
            if any(wait(read, write, min(_LOOK, max(self.left, _SHORTEST)))):
                return
            if self._is_prompting():
                self._end += time.monotonic() - begin
            elif self.left == 0.0:
                raise ConnectError(f"no answer within {self._seconds:g} seconds")


def is_prompting(pid: int) -> bool:
    """Return whether this ssh, or one that it started, waits for a password or the like.

    ssh opens the terminal to ask, and closes it afterwards; or it starts a program that asks in a
    window. Known only where there is a /proc of ours; elsewhere the limit runs on.
    """
    return proc.has_own_proc() and any(map(_is_asking, (pid, *_descendants(pid))))


def _is_asking(pid: int) -> bool:
    return _has_terminal(pid) or _asks_in_window(pid)


def _descendants(pid: int) -> list[int]:
    try:
        # Few ssh have children. The table of all processes is dear where many connections are being made.
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            if not file.read():
                return []
    except OSError:  # it has ended, or the kernel does not tell
        pass
    return [process.pid for process in proc.descendants(pid, proc.process_table())]


def _has_terminal(pid: int) -> bool:
    return "/dev/tty" in _links(f"/proc/{pid}/fd")


def _links(folder: str) -> Iterable[str]:
    try:
        for name in os.listdir(folder):
            yield os.readlink(f"{folder}/{name}")
    except OSError:  # it has ended, or has just closed one
        return


def _asks_in_window(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/comm") as file:
            name = file.read().rstrip("\n")
    except OSError:
        return False
    return name == os.path.basename(os.environ.get("SSH_ASKPASS", "ssh-askpass"))[:15]
