"""Messages of a worker to its guardian."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from easycluster_server._system import control as control_module
from helpers.states import no_guardian


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
            control_module.tell_guardian("1")
    os.close(writing)


def test_report_outside_of_a_worker(control: int) -> None:
    """Where there is no guardian, as on a master, nothing is reported."""
    with no_guardian():
        control_module.report_end("closed")

        with pytest.raises(RuntimeError):
            control_module.tell_guardian("1")
    with pytest.raises(BlockingIOError):
        os.read(control, 100)


def test_descriptor_that_the_user_has_closed(tmp_path: Path) -> None:
    """When user code has closed the pipe, nothing is written into the file that has its number now."""
    reading, writing = os.pipe()
    with no_guardian(), (tmp_path / "file").open("wb") as file:
        control_module.set_control(writing)
        os.dup2(file.fileno(), writing)
        control_module.report_end("lost")
        with pytest.raises(OSError, match="closed"):
            control_module.tell_guardian("1")
        os.close(writing)
        control_module.report_end("lost")
    os.close(reading)

    assert (tmp_path / "file").read_bytes() == b""
