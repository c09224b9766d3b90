"""The dead-man helper: ends this process's ssh children when this process dies, even by SIGKILL.

With unread data on its way neither ssh nor the remote side notices that the master is gone. The
helper is one tiny process per master; it reads process ids from a pipe whose other end only the
master holds, and when that end closes it kills those that are still noted.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading

_CODE = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
pids = set()
for line in sys.stdin:
    (pids.add if line[0] == "+" else pids.discard)(int(line[1:]))
for pid in pids:
    try:
        os.kill(pid, signal.SIGKILL)
    except OSError:
        pass
"""


class DeadMan:
    """Notes the children that must not outlive this process. Any thread may use it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._pid = 0
        self._noted: set[int] = set()

    def add(self, pid: int) -> None:
        """Note a child."""
        with self._lock:
            if self._process is None or self._pid != os.getpid():
                self._start()
            self._noted.add(pid)
            self._tell(b"+%d\n" % pid)

    def discard(self, pid: int) -> None:
        """Forget a child that has been waited for. With the last one the helper ends."""
        with self._lock:
            if pid not in self._noted:
                return
            self._noted.discard(pid)
            self._tell(b"-%d\n" % pid)
            if not self._noted:
                self._stop()

    def _start(self) -> None:
        self._noted = set()
        self._pid = os.getpid()
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _CODE],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def _tell(self, line: bytes) -> None:
        if self._process is not None and self._process.stdin is not None:
            try:
                self._process.stdin.write(line)
                self._process.stdin.flush()
            except OSError:  # somebody ended the helper: ssh children are then on their own
                pass

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is not None and process.stdin is not None:
            try:
                process.stdin.close()
            except OSError:
                pass
            process.wait()


dead_man = DeadMan()
