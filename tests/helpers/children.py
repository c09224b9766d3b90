"""Long-lived children of a test run, which end with it even when it is killed."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

#: Asks the kernel to end this process with its parent, then becomes the command.
_LAUNCHER = """
import os, sys
from easycluster_server._system.posix.libc import die_with_parent
die_with_parent(int(sys.argv[1]))
os.execv(sys.argv[2], sys.argv[2:])
"""


def start(command: list[str], **options: Any) -> subprocess.Popen[bytes]:
    """Start a command; when this process dies, by whatever, it is killed.

    Args:
        command: the full path of a program, and its arguments.
        options: of `subprocess.Popen`.
    """
    return subprocess.Popen([sys.executable, "-c", _LAUNCHER, str(os.getpid()), *command], **options)
