"""The proof that nothing is left behind would itself notice if something were."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

from helpers import leaks
from helpers.waiting import PATIENCE, wait_until

#: Starts a daemon: a grandchild in a session of its own, whose parent has ended.
_DAEMON = """
import subprocess, sys
null = subprocess.DEVNULL
process = subprocess.Popen(["sleep", "1000"], start_new_session=True, stdout=null, stderr=null)
print(process.pid)
"""


def test_thread_is_noticed(run_mark: str) -> None:
    """A thread that goes on is noticed by its name."""
    before = leaks.take(run_mark)
    end = threading.Event()
    thread = threading.Thread(target=end.wait, name="left-behind")
    thread.start()

    new = leaks.take(run_mark).beyond(before)

    end.set()
    thread.join()
    assert [name.partition(" ")[2] for name in new["threads"]] == ["left-behind"]


def test_child_is_noticed(run_mark: str) -> None:
    """A child is noticed, also one without any environment, and one that has ended unnoticed."""
    before = leaks.take(run_mark)
    children = [subprocess.Popen(["/bin/sleep", "1000"], env={}), subprocess.Popen(["true"])]
    os.waitid(os.P_PID, children[1].pid, os.WEXITED | os.WNOWAIT)

    new = leaks.take(run_mark).beyond(before)

    children[0].kill()
    for child in children:
        child.wait(PATIENCE)
    assert {int(name.partition("@")[0]) for name in new["processes"]} == {child.pid for child in children}


def test_daemon_is_noticed(run_mark: str) -> None:
    """A process that left this one's descendants is noticed by its mark."""
    before = leaks.take(run_mark)
    result = subprocess.run(
        [sys.executable, "-c", _DAEMON], capture_output=True, check=True, timeout=PATIENCE
    )
    pid = int(result.stdout)

    new = leaks.take(run_mark).beyond(before)

    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not leaks.take(run_mark).beyond(before))
    assert [int(name.partition("@")[0]) for name in new["processes"]] == [pid]


def test_descriptor_is_noticed(run_mark: str, tmp_path: Path) -> None:
    """An open file is noticed by its path."""
    before = leaks.take(run_mark)
    with (tmp_path / "open").open("w"):
        new = leaks.take(run_mark).beyond(before)

    assert [name.partition(" -> ")[2] for name in new["descriptors"]] == [str(tmp_path / "open")]
    assert leaks.take(run_mark).beyond(before) == {}
