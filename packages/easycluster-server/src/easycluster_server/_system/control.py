"""The worker's end of the pipe to its guardian, which cannot see everything by itself."""

from __future__ import annotations

import os
from typing import Any, Optional

#: How a session ends, see `report_end`.
CLOSED = "closed"
LOST = "lost"


def detach(process: Any) -> None:
    """Let a process that remote code started live on when the connection is lost.

    Call it on the server. Without it, everything that remote code started ends within 5 seconds
    when the master or the link is lost.

    Args:
        process: a `subprocess.Popen`, or a process id.

    Raises:
        RuntimeError: this process is no server of a connection.
        ProcessLookupError: there is no such process.
    """
    if _control is None:
        raise RuntimeError("detach() works only in code that runs on a server")
    number: Any = getattr(process, "pid", process)
    pid = int(number)
    os.kill(pid, 0)
    os.write(_control, b"%d\n" % pid)


#: In a worker: the writing end of the pipe to its guardian.
_control: Optional[int] = None


def set_control(descriptor: int) -> None:
    """Set the descriptor to which `detach` and `report_end` write; called once in each worker."""
    global _control
    _control = descriptor


def report_end(outcome: str) -> None:
    """Tell the guardian how the connection ended: `CLOSED` or `LOST`."""
    if _control is not None:
        try:
            os.write(_control, outcome.encode() + b"\n")
        except OSError:  # the guardian is gone
            pass
