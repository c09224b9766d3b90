"""Ending child processes together with everything that they have started."""

from __future__ import annotations

import os
import signal
import subprocess
import time

from easycluster_server._system.posix import proc

#: Seconds that a process has to end after a signal.
GRACE = 1.0

#: Seconds between two checks whether descendants have ended that are not our own children.
_POLL_INTERVAL = 0.01


def wait_for_end(process: subprocess.Popen[bytes], seconds: float) -> None:
    """Wait until a process ends, for ``seconds`` at most."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        pass


def terminate(process: subprocess.Popen[bytes]) -> None:
    """End a process and its descendants: the ssh to a jump host, a program that asks for a password."""
    if process.poll() is not None:  # another process may have its id by now, and other descendants
        return
    descendants = _find_descendants(process.pid)
    # SIGTERM first: a program that is asking for a password switches the echo of the terminal on again.
    for number in (signal.SIGTERM, signal.SIGKILL):
        process.send_signal(number)
        proc.send_signal(descendants, number)
        deadline = time.monotonic() + GRACE
        wait_for_end(process, GRACE)
        while (descendants := [each for each in descendants if _is_alive(each)]) and (
            time.monotonic() < deadline
        ):
            time.sleep(_POLL_INTERVAL)
        if process.returncode is not None and not descendants:
            return


def identify_child(pid: int) -> int | None:
    """Return a value that identifies this child even after its process id has been reused.

    Returns:
        When the child was started, in clock ticks since boot; 0: the system has no /proc that says it; None:
        the process is not a child of this one, or has been waited for.
    """
    if not proc.has_own_proc():
        return 0
    child = proc.read_process(pid)
    return child.started if child is not None and child.parent == os.getpid() else None


def _find_descendants(pid: int) -> list[proc.Process]:
    if not identify_child(pid):
        return []
    return proc.find_descendants(pid, proc.read_processes())


def _is_alive(process: proc.Process) -> bool:
    now = proc.read_process(process.pid)
    return now is not None and now.started == process.started and now.state != "Z"
