from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading

import pytest

from easycluster_server._system.posix.system_calls import host_name, interrupt_main_thread


def test_host_name() -> None:
    """The name of this computer is that which sockets know, too."""
    assert host_name() == socket.gethostname()


def test_main_thread_is_interrupted() -> None:
    """Another thread ends a system call of the main thread."""
    reading, writing = os.pipe()
    timer = threading.Timer(0.01, interrupt_main_thread)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        os.read(reading, 1)
    timer.join()
    os.close(reading)
    os.close(writing)


def test_functions_at_forks() -> None:
    """The functions are called around each fork; those that are not wanted may be left out."""
    code = """
import os
from easycluster_server._system import call_at_fork

call_at_fork(lambda: print("only in the child", flush=True))
call_at_fork(
    lambda: print("child", flush=True),
    lambda: print("before", flush=True),
    lambda: os.wait() and print("parent", flush=True),
)
if os.fork() == 0:
    os._exit(0)
"""
    result = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)

    assert result.stdout.split("\n") == ["before", "only in the child", "child", "parent", ""]
