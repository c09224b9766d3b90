"""Ending the processes that this one has started."""

from __future__ import annotations

import signal
import subprocess
import time

from easycluster_server import _processes

#: Seconds that a process has to end when it is asked to.
GRACE = 1.0

#: Seconds between two looks whether processes have ended that are not our children.
_LOOK = 0.01


def wait(process: subprocess.Popen[bytes], seconds: float) -> None:
    """Wait until a process ends, but not longer than ``seconds``."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        pass


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process and what it has started: the ssh to a jump host, a program that asks for a password."""
    below = _processes.descendants(process.pid, _processes.process_table())
    # Not killed at once: who is asking gives the terminal its echo back.
    for number in (signal.SIGTERM, signal.SIGKILL):
        process.send_signal(number)
        _processes.send_signal(below, number)
        until = time.monotonic() + GRACE
        wait(process, GRACE)
        while (below := [each for each in below if _lives(each)]) and time.monotonic() < until:
            time.sleep(_LOOK)
        if process.returncode is not None and not below:
            return


def _lives(process: _processes.Process) -> bool:
    now = _processes.read_process(process.pid)
    return now is not None and now.started == process.started and now.state != "Z"
