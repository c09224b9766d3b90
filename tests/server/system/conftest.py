"""What the tests of the worker's word to its guardian share."""

from __future__ import annotations

import os
from collections.abc import Iterator

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
