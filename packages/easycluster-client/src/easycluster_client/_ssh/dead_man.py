"""The dead-man helper: ends this process's ssh children when this process dies, even by SIGKILL.

With unread data on its way neither ssh nor the remote side notices that the master is gone. The
helper is one tiny process per master, a shell; it reads from a pipe, whose other end only the master holds,
which processes there are. When that end closes while some are noted, a Python ends them, with what they have
started: the ssh to a jump host, a ProxyCommand. Were it a Python from the start, that start would take 15 ms
of processor time from the first ssh.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading

from easycluster_client._process import children

#: Run as a script, so that it imports nothing of ours.
_HELPER = os.path.join(os.path.dirname(__file__), "dead_man_helper.py")

#: Lines are ``+ PID START`` and ``- PID 0``; the arguments are the command that ends those that are noted,
#: which it is given as ``PID:START``.
_NOTE = """
trap "" INT
while read -r sign pid start; do
    kept=
    for each in $noted; do [ "${each%%:*}" = "$pid" ] || kept="$kept $each"; done
    noted=$kept
    [ "$sign" = - ] || noted="$noted $pid:$start"
done
[ -z "$noted" ] || exec "$@" $noted
"""


class DeadMan:
    """Notes the children that must not outlive this process. Any thread may use it."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Leave the helper and the children to the process from which this one was forked."""
        helper = getattr(self, "_helper", None)
        self._lock = threading.Lock()
        self._helper: subprocess.Popen[bytes] | None = None
        self._noted: set[int] = set()
        if helper is not None:
            helper.returncode = 0  # it is no child of ours, so nobody need wait for it
            # Or the helper would not notice the end of the master while this process lives.
            _close(helper)

    def add(self, pid: int) -> None:
        """Note a child; one that has been waited for already is no child any more."""
        start = children.identify_child(pid)
        if start is None:
            return
        with self._lock:
            if self._helper is None:
                self._helper = _start()
            self._noted.add(pid)
            self._tell(b"+ %d %d\n" % (pid, start))

    def discard(self, pid: int) -> None:
        """Forget a child that has been waited for. With the last one the helper ends."""
        with self._lock:
            if pid not in self._noted:
                return
            self._noted.discard(pid)
            self._tell(b"- %d 0\n" % pid)
            if not self._noted:
                self._stop()

    def _tell(self, line: bytes) -> None:
        if self._helper is not None and self._helper.stdin is not None:
            try:
                self._helper.stdin.write(line)
            except OSError:  # somebody ended the helper: ssh children are then on their own
                pass

    def _stop(self) -> None:
        helper, self._helper = self._helper, None
        if helper is not None:
            _close(helper)
            helper.wait()


def _start() -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        ["/bin/sh", "-c", _NOTE, "sh", sys.executable, "-I", "-S", _HELPER],
        bufsize=0,  # nothing that a forked process could write once more
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _close(helper: subprocess.Popen[bytes]) -> None:
    if helper.stdin is not None:
        try:
            helper.stdin.close()
        except OSError:
            pass


dead_man = DeadMan()
os.register_at_fork(after_in_child=dead_man.forget)
