"""Processes that are spared."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from easycluster_server._system.detach import detach
from easycluster_server._system.posix import detachable
from helpers.states import no_guardian


def test_detach(control: int) -> None:
    """A process is detached by its id or by the object that stands for it."""
    with subprocess.Popen(["sleep", "600"]) as process:
        detach(process)
        detach(process.pid)
        process.kill()

    assert os.read(control, 100) == b"%d\n" % process.pid * 2


def test_detach_of_nobody(control: int) -> None:
    """A process that does not exist cannot be detached."""
    with subprocess.Popen(["true"]) as process:
        pass
    with pytest.raises(ProcessLookupError):
        detach(process.pid)


def test_detach_outside_of_a_worker() -> None:
    """On a master there is nothing to detach from."""
    with no_guardian(), pytest.raises(RuntimeError, match="runs on a server"):
        detach(os.getpid())


@pytest.mark.parametrize("make", [str, lambda number: SimpleNamespace(pid=number)])
def test_detach_of_what_has_an_id(control: int, make: Callable[[int], object]) -> None:
    """An id may be a text, or the attribute `pid` of any object, as of the processes of multiprocessing and psutil."""
    detach(make(os.getpid()))

    assert os.read(control, 100) == b"%d\n" % os.getpid()


@pytest.mark.parametrize("process", ["ls", None, SimpleNamespace(pid=None)])
def test_detach_of_what_has_no_id(control: int, process: object) -> None:
    """What stands for no process, as the name of a program or a process that was not started, is refused."""
    with pytest.raises((TypeError, ValueError)):
        detach(process)
    with pytest.raises(BlockingIOError):
        os.read(control, 100)


def test_detach_without_proc(control: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the guardian sees no single processes, a process of the server's group cannot be spared; any other
    process lives on."""
    monkeypatch.setattr(detachable, "_HAS_PROC", False)
    with pytest.raises(RuntimeError, match=rf"detach\({os.getpid()}\).*no /proc.*start_new_session=True"):
        detach(os.getpid())
    with pytest.raises(BlockingIOError):
        os.read(control, 100)
    with subprocess.Popen(["sleep", "600"], start_new_session=True) as process:
        detach(process)
        process.kill()
