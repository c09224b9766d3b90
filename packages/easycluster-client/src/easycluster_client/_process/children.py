"""Ending the processes that this one has started."""

from __future__ import annotations

import os
import signal
import subprocess
import time

from easycluster_server._system import proc

#: Seconds that a process has to end when it is asked to.
GRACE = 1.0

#: Seconds between two looks whether processes have ended that are not our children.
_LOOK = 0.01


def wait_for_end(process: subprocess.Popen[bytes], seconds: float) -> None:
    """Wait until a process ends, but not longer than ``seconds``."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        pass


def terminate(process: subprocess.Popen[bytes]) -> None:
    """End a process and what it has started: the ssh to a jump host, a program that asks for a password."""
    if process.poll() is not None:  # its id may be another's by now, and so may what is found below it
        return
    below = _below(process.pid)
    # Not killed at once: who is asking gives the terminal its echo back.
    for number in (signal.SIGTERM, signal.SIGKILL):
        process.send_signal(number)
        proc.send_signal(below, number)
        until = time.monotonic() + GRACE
        wait_for_end(process, GRACE)
        while (below := [each for each in below if _lives(each)]) and time.monotonic() < until:
            time.sleep(_LOOK)
        if process.returncode is not None and not below:
            return


def start_of_child(pid: int) -> int | None:
    """Return what tells a child of this process from others that get its id later.

    Returns:
        When it was started, in clock ticks since boot; 0: there is no /proc that says it; None: it is no
        child of this process, or has been waited for.
    """
    if not proc.has_own_proc():
        return 0
    child = proc.read_process(pid)
    return child.started if child is not None and child.parent == os.getpid() else None


def _below(pid: int) -> list[proc.Process]:
    if not start_of_child(pid):
        return []
    return proc.descendants(pid, proc.process_table())


def _lives(process: proc.Process) -> bool:
    now = proc.read_process(process.pid)
    return now is not None and now.started == process.started and now.state != "Z"
