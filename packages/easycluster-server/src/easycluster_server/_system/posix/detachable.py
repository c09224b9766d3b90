"""Which processes can be spared at the end of a connection."""

from __future__ import annotations

import os

from . import proc

#: Noted now: remote code may confine its own process to a folder later, but not the guardian.
_HAS_PROC = proc.has_own_proc()


def check_may_stay(pid: int) -> None:
    """Make sure that a process exists, and that the guardian can spare it.

    Raises:
        RuntimeError: the host has no /proc, and the process belongs to the process group of the server.
        ProcessLookupError: there is no such process.
    """
    os.kill(pid, 0)
    if not _HAS_PROC and os.getpgid(pid) == os.getpgrp():
        raise RuntimeError(
            f"detach({pid}): this host has no /proc to find single processes, so the process group of the "
            "server ends as a whole: start the process with start_new_session=True, and it lives on without "
            "detach()"
        )
