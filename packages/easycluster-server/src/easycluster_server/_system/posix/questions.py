"""How the guardian answers the client, which asks how a silent worker is.

Any bytes are a question, and each answer is a line, see `easycluster_server._io.questions`. They have a
socket of their own, where they never wait for anything that the worker does.
"""

from __future__ import annotations

import os

from . import proc


def answer_questions(descriptor: int, worker: int) -> bool:
    """Answer the questions that have come; return False when nobody will ask any more.

    Args:
        descriptor: the socket. There is something to read.
        worker: the process id of the worker.
    """
    try:
        asked = os.read(descriptor, 4096)
        if asked:
            os.write(descriptor, proc.describe(worker))
    except BlockingIOError:  # the client does not read its answers
        return True
    except OSError:
        return False
    return bool(asked)
