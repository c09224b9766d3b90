"""The hook into `multiprocessing.spawn`; the processes themselves are in the integration tests."""

from __future__ import annotations

import pickle
import subprocess
import sys

import pytest

from easycluster_server._serving import spawned_children

PROLOGUE = """
import sys
from easycluster_server._serving.spawned_children import watch
"""


def run(code: str) -> str:
    """Run code in a process of its own; return what it prints."""
    result = subprocess.run(
        [sys.executable, "-c", PROLOGUE + code], check=True, capture_output=True, text=True
    )
    return result.stdout


@pytest.mark.integration
@pytest.mark.parametrize("when", ["before", "after"])
def test_module_is_extended(when: str) -> None:
    """The module is extended once, whether it was imported before or is imported later, and found as ever."""
    steps = ["import multiprocessing.spawn", "watch()"]
    if when == "after":
        steps.reverse()
    code = "\n".join(steps) + (
        "\nprint('easycluster' in multiprocessing.spawn.get_preparation_data('x'), "
        "multiprocessing.spawn.__spec__.origin == multiprocessing.spawn.__file__, "
        "any('spawned_children' in type(finder).__module__ for finder in sys.meta_path))"
    )

    assert run(code) == "True True False\n"


@pytest.mark.integration
def test_nothing_is_imported() -> None:
    """Waiting for the module imports nothing of multiprocessing."""
    assert run("watch()\nprint('multiprocessing' in sys.modules)") == "False\n"


def test_definitions_are_a_text(no_definitions: None) -> None:
    """What a new process unpickles takes nothing but Python itself."""
    pickled = pickle.dumps(spawned_children._Definitions(["folder"]))

    assert b"exec" in pickled
    assert b"_Definitions" not in pickled
