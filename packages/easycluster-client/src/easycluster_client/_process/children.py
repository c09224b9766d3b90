"""Ending child processes together with everything that they have started."""

from __future__ import annotations

import subprocess
import time

from easycluster_server._system import programs

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


def terminate(process: subprocess.Popen[bytes], grace: float = GRACE) -> None:
    """End a process and its descendants: the ssh to a jump host, a program that asks for a password.

    Args:
        process: the process.
        grace: how long they may take to end after each signal, in seconds.
    """
    if process.poll() is not None:  # another process may have its id by now, and other descendants
        return
    descendants = _find_descendants(process.pid)
    # SIGTERM first: a program that is asking for a password switches the echo of the terminal on again.
    for number in programs.END_SIGNALS:
        process.send_signal(number)
        programs.send_signal(descendants, number)
        deadline = time.monotonic() + grace
        wait_for_end(process, grace)
        while (descendants := [each for each in descendants if _is_alive(each)]) and (
            time.monotonic() < deadline
        ):
            time.sleep(_POLL_INTERVAL)
        if process.returncode is not None and not descendants:
            return


def _find_descendants(pid: int) -> list[programs.Process]:
    if not programs.identify_child(pid):
        return []
    return programs.find_descendants(pid, programs.read_processes())


def _is_alive(process: programs.Process) -> bool:
    now = programs.read_process(process.pid)
    return now is not None and now.started == process.started and now.state != "Z"
