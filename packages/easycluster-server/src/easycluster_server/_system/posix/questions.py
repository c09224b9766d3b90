"""How the guardian answers the client, which asks how a silent worker is.

Any bytes are a question, and each answer is a line, see `easycluster_server._io.questions`. They have a
socket of their own, where they never wait for anything that the worker does.
"""

from __future__ import annotations

import os

#: The field of /proc/PID/stat with the state, and those with the ticks of CPU time, behind the name.
_STATE, _USER_TICKS, _SYSTEM_TICKS = 0, 11, 12


def answer_questions(descriptor: int, worker: int) -> bool:
    """Answer the questions that have come; return False when nobody will ask any more.

    Args:
        descriptor: the socket. There is something to read.
        worker: the process id of the worker.
    """
    try:
        asked = os.read(descriptor, 4096)
        if asked:
            os.write(descriptor, b"STATE: %s\n" % _describe(worker))
    except BlockingIOError:  # the client does not read its answers
        return True
    except OSError:
        return False
    return bool(asked)


def _describe(worker: int) -> bytes:
    """Return the state of the worker as the kernel's letter, "?" where it does not tell, and its CPU time in
    seconds."""
    try:
        with open(f"/proc/{worker}/stat", "rb") as file:
            text = file.read()
    except OSError:
        return b"? 0"
    fields = text[text.rindex(b")") + 2 :].split()
    ticks = int(fields[_USER_TICKS]) + int(fields[_SYSTEM_TICKS])
    return b"%s %.2f" % (fields[_STATE], ticks / os.sysconf("SC_CLK_TCK"))
