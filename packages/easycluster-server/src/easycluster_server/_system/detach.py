"""Sparing a process at the end of the connection."""

from __future__ import annotations

import os
from typing import Any

from . import proc
from .control import tell_guardian

#: Noted now: remote code may confine its own process to a folder later, but not the guardian.
_HAS_PROC = proc.has_own_proc()


def detach(process: Any) -> None:
    """Let a process that remote code started live on when the connection is lost.

    Call it on the server. Without it, everything that remote code started ends within 5 seconds
    when the master or the link is lost.

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
    os.kill(pid, 0)
    if not _HAS_PROC and os.getpgid(pid) == os.getpgrp():
        raise RuntimeError(
            f"detach({pid}): this host has no /proc to find single processes, so the process group of the "
            "server ends as a whole: start the process with start_new_session=True, and it lives on without "
            "detach()"
        )
    try:
        tell_guardian(str(pid))
    except RuntimeError:
        raise RuntimeError("detach() works only in code that runs on a server") from None
