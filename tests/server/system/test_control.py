"""Messages of a worker to its guardian."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest

from easycluster_server._system import control as control_module
from helpers.states import no_guardian


@pytest.fixture
def control() -> Iterator[int]:
    """The end of the pipe from which a guardian would read."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    with no_guardian():
        control_module.set_control(writing)
        yield reading
    os.close(reading)
    os.close(writing)


def test_detach(control: int) -> None:
    """A process is detached by its id or by the object that stands for it."""
    with subprocess.Popen(["sleep", "600"]) as process:
        control_module.detach(process)
        control_module.detach(process.pid)
        process.kill()

    assert os.read(control, 100) == b"%d\n" % process.pid * 2


def test_detach_of_nobody(control: int) -> None:
    """A process that does not exist cannot be detached."""
    with subprocess.Popen(["true"]) as process:
        pass
    with pytest.raises(ProcessLookupError):
        control_module.detach(process.pid)


def test_detach_outside_of_a_worker() -> None:
    """On a master there is nothing to detach from."""
    with no_guardian(), pytest.raises(RuntimeError, match="runs on a server"):
        control_module.detach(os.getpid())


def test_report(control: int) -> None:
    """The guardian is told how the connection ended, in a line."""
    control_module.report_end("closed")
    control_module.report_end("lost")

    assert os.read(control, 100) == b"closed\nlost\n"


def test_report_to_a_guardian_that_has_gone() -> None:
    """The worker goes on although nobody hears what it reports."""
    reading, writing = os.pipe()
    os.close(reading)
    with no_guardian():
        control_module.set_control(writing)
        control_module.report_end("closed")

        with pytest.raises(BrokenPipeError):
            control_module.detach(os.getpid())
    os.close(writing)


def test_report_outside_of_a_worker(control: int) -> None:
    """Where there is no guardian, as on a master, nothing is reported."""
    with no_guardian():
        control_module.report_end("closed")

    with pytest.raises(BlockingIOError):
        os.read(control, 100)


@pytest.mark.parametrize("make", [str, lambda number: SimpleNamespace(pid=number)])
def test_detach_of_what_has_an_id(control: int, make: Callable[[int], object]) -> None:
    """An id may be a text, or the attribute `pid` of any object, as of the processes of multiprocessing and psutil."""
    control_module.detach(make(os.getpid()))

    assert os.read(control, 100) == b"%d\n" % os.getpid()


@pytest.mark.parametrize("process", ["ls", None, SimpleNamespace(pid=None)])
def test_detach_of_what_has_no_id(control: int, process: object) -> None:
    """What stands for no process, as the name of a program or a process that was not started, is refused."""
    with pytest.raises((TypeError, ValueError)):
        control_module.detach(process)
    with pytest.raises(BlockingIOError):
        os.read(control, 100)
