"""What a guardian answers when it is asked how its worker is.

An answer is a line: ``STATE: `` with the letter by which the kernel shows the state of the worker (``T`` and
``t``: stopped; ``?``: unknown), and its CPU time in seconds.
"""

from __future__ import annotations

import re
from typing import NamedTuple, Optional  # novm

#: One question.
QUESTION = b"?"

_ANSWER = re.compile(rb"STATE: ([A-Za-z?]) ([0-9.]{1,20})\n")

#: The letters of a process that is stopped, by a signal or by a debugger.
_STOPPED = "Tt"


class Answer(NamedTuple):
    """The answer of a guardian.

    Attributes:
        state: the kernel's letter for the state of the worker.
        cpu_seconds: the CPU time of the worker.
    """

    state: str
    cpu_seconds: float

    @property
    def is_stopped(self) -> bool:
        """Whether the worker is stopped."""
        return self.state in _STOPPED


def parse_answer(data: bytes) -> Optional[Answer]:
    """Return the last answer in ``data``, or None."""
    found = _ANSWER.findall(data)
    return Answer(found[-1][0].decode(), float(found[-1][1])) if found else None
