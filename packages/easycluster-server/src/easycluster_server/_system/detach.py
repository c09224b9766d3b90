"""Sparing a process at the end of the connection."""

from __future__ import annotations

import sys
from typing import Any

from .control import tell_guardian

if sys.platform == "win32":
    from .windows.detachable import check_may_stay
else:
    from .posix.detachable import check_may_stay


def detach(process: Any) -> None:
    """Let a process that remote code started live on when the connection is lost.

    Call it on the server. Without it, everything that remote code started ends within 5 seconds
    when the master or the link is lost. It does not outlive a server that runs as a service of systemd: when
    that is stopped, all of its processes end.

    Args:
        process: a `subprocess.Popen`, or a process id.

    Raises:
        RuntimeError: this process is no server of a connection; or the host has no /proc, and the process
            belongs to the process group of the server, which ends as a whole there.
        ProcessLookupError: there is no such process.
        OSError: remote code has closed the descriptor that leads to the guardian.
    """
    number: Any = getattr(process, "pid", process)
    pid = int(number)
    check_may_stay(pid)
    try:
        tell_guardian(str(pid))
    except RuntimeError:
        raise RuntimeError("detach() works only in code that runs on a server") from None
