"""Profiles: of a function, and of a process until it ends."""

from __future__ import annotations

import pstats
import subprocess
import sys
from pathlib import Path

import pytest

from easycluster_server._processes.profiling import profile_into


def functions(path: Path) -> set[str]:
    """The names of the functions in a profile."""
    return {name for _, _, name in pstats.Stats(str(path)).stats}  # type: ignore[attr-defined]


def work() -> None:
    """Something to be found in the profile."""
    raise KeyError


def test_profile_of_a_function(tmp_path: Path) -> None:
    """The profile is written even if the function fails."""
    with pytest.raises(KeyError):
        profile_into(str(tmp_path / "profile"), work)

    assert "work" in functions(tmp_path / "profile")


def test_profile_of_a_process(tmp_path: Path) -> None:
    """A process that profiles its calls writes them at its end, under its number."""
    script = (
        "import os, sys\n"
        "from easycluster_server._processes.profiling import profile_calls\n"
        "def work(): return 1\n"
        "profile_calls(sys.argv[1]); work(); print(os.getpid())"
    )
    pid = subprocess.check_output([sys.executable, "-c", script, str(tmp_path / "p")], text=True).strip()

    assert "work" in functions(tmp_path / f"p.{pid}")
