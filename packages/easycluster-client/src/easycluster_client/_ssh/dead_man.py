"""The dead-man helper, which ends the ssh children of this process when this process dies, even by SIGKILL.

While data is on its way unread, neither ssh nor the remote side notices that the master is gone. The helper
is one small process per master, a shell, which reads the list of ssh processes from a pipe whose other end
only the master holds. When that end closes while processes are noted, the shell starts a Python that ends
them and their descendants: the ssh to a jump host, a ProxyCommand. If the helper were a Python from the
beginning, its start would take 15 ms of processor time away from the first ssh.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading

from easycluster_server._system import call_at_fork
from easycluster_server._system.programs import identify_child, limiting_script

#: It is run as a script, and imports no other module of ours.
_HELPER = os.path.join(os.path.dirname(__file__), "dead_man_helper.py")

#: The shell's script. Its input are lines ``+ PID START`` and ``- PID 0``; its arguments are the command that
#: ends the noted processes, which that command gets as ``PID:START``.
_NOTE_PROCESSES = """
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
    """The helper of this process, and the children that it has noted. Any thread may use it."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Leave the helper and the children to the parent, in a forked process."""
        helper = getattr(self, "_helper", None)
        self._lock = threading.Lock()
        self._helper: subprocess.Popen[bytes] | None = None
        self._noted: set[int] = set()
        if helper is not None:
            helper.returncode = 0  # it is not a child of this process, which cannot wait for it
            # Otherwise the helper would not notice the end of the master while this process lives.
            _close_pipe(helper)

    def add(self, pid: int) -> None:
        """Note a child; a process that has been waited for is no longer a child and is ignored."""
        start = identify_child(pid)
        if start is None:
            return
        with self._lock:
            if self._helper is None:
                self._helper = _start_helper()
            self._noted.add(pid)
            self._send_line(b"+ %d %d\n" % (pid, start))

    def discard(self, pid: int) -> None:
        """Forget a child that has been waited for; with the last child the helper ends."""
        with self._lock:
            if pid not in self._noted:
                return
            self._noted.discard(pid)
            self._send_line(b"- %d 0\n" % pid)
            if not self._noted:
                self._stop()

    def _send_line(self, line: bytes) -> None:
        if self._helper is not None and self._helper.stdin is not None:
            try:
                self._helper.stdin.write(line)
            except OSError:  # the helper was killed, so the ssh children have no helper any more
                pass

    def _stop(self) -> None:
        helper, self._helper = self._helper, None
        if helper is not None:
            _close_pipe(helper)
            helper.wait()


def _start_helper() -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        ["/bin/sh", "-c", limiting_script() + _NOTE_PROCESSES, "sh", sys.executable, "-I", "-S", _HELPER],
        bufsize=0,  # with a buffer a forked process could write a line once more
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _close_pipe(helper: subprocess.Popen[bytes]) -> None:
    if helper.stdin is not None:
        try:
            helper.stdin.close()
        except OSError:
            pass


dead_man = DeadMan()
call_at_fork(dead_man.forget)
