"""What stands for a terminal, and for a host that prints, while remote output is tested."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator

import pytest

from easycluster_client._ssh import output as output_module
from easycluster_client._ssh.output import RemoteOutput
from easycluster_server._system.programs import open_output
from helpers.waiting import PATIENCE, wait_until

THREAD = "easycluster-output"


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
        reading, self._writing = open_output()
        self.output = RemoteOutput(reading)
        if shown:
            self.output.show()

    def say(self, text: str | bytes) -> None:
        """Print."""
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


def make_screen() -> Recorder:
    """The fixture ``screen``: what stands for standard error, from the first host on."""
    return Recorder()


def serve_hosts(screen: Recorder, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Host]]:
    """The fixture ``host``, which makes hosts; in the end they leave, and the thread has ended."""
    hosts: list[Host] = []
    monkeypatch.setattr(
        output_module, "_PARTIAL_SECONDS", 1000
    )  # those of a slow machine are not shown by chance

    def make(shown: bool = True) -> Host:
        if not hosts:  # not before: pytest sets it anew when a test begins
            monkeypatch.setattr(sys, "stderr", screen)
        hosts.append(Host(shown))
        return hosts[-1]

    yield make
    for each in hosts:
        each.leave()
        each.output.finish(PATIENCE)
    wait_until(lambda: not threads())
    assert output_module._reader._outputs == []


def threads() -> list[threading.Thread]:
    """The threads that read."""
    return [thread for thread in threading.enumerate() if thread.name == THREAD]


def let_it_look(host: Callable[..., Host], screen: Recorder) -> None:
    """Return when all that was printed before has been read and dealt with."""
    # The outputs are gone through in the order in which they were made.
    before = screen.text
    marker = host()
    marker.say("now\n")
    wait_until(lambda: screen.text.endswith("now\n"))
    screen.writes[:] = [before] if before else []
    screen.flushed = len(screen.writes)
