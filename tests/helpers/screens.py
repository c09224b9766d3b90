"""What stands for a terminal, and for a host that prints, while remote output is tested."""

from __future__ import annotations

import os
from collections.abc import Callable

from easycluster_client._remote_output import RemoteOutput
from helpers.waiting import wait_until


class Recorder:
    """Stands for standard error."""

    def __init__(self) -> None:
        self.writes: list[str] = []
        self.flushed = 0

    def write(self, text: str) -> None:
        self.writes.append(text)

    def flush(self) -> None:
        self.flushed = len(self.writes)

    @property
    def text(self) -> str:
        """What was written and flushed."""
        return "".join(self.writes[: self.flushed])

    def wait_for(self, text: str) -> None:
        """Wait until this and nothing else was written."""
        wait_until(lambda: self.text == text, what=repr(text))


class Host:
    """A host that prints.

    Attributes:
        output: where the master takes it.
    """

    def __init__(self, shown: bool = True) -> None:
        reading, self._writing = os.pipe()
        self.output = RemoteOutput(reading)
        if shown:
            self.output.show()

    def say(self, text: str | bytes) -> None:
        """Print; wait until the master has it."""
        data = text.encode() if isinstance(text, str) else text
        os.write(self._writing, data)

    def leave(self) -> None:
        """Close the pipe."""
        if self._writing >= 0:
            os.close(self._writing)
            self._writing = -1


def has_come(output: RemoteOutput, text: str) -> Callable[[], bool]:
    """Whether the last that came of an output is this."""
    return lambda: output.text.endswith(text)
