"""Files of a process's number and of its output."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from easycluster_server._system.background import held_pid_file, open_log


def test_pid_file(tmp_path: Path) -> None:
    """The file has the number of the process for as long as the block runs; a second process is told of the first."""
    path = tmp_path / "pid"
    path.write_text("99999999\n")

    with held_pid_file(str(path)):
        assert path.read_text() == f"{os.getpid()}\n"
        with pytest.raises(FileExistsError, match=f"process {os.getpid()} runs already and has this file"):
            with held_pid_file(str(path)):
                pass
        assert path.exists()
    assert not path.exists()


@pytest.mark.parametrize("held", ["key: value\n", "12 apples", "x" * 1000])
def test_file_of_another_kind(tmp_path: Path, held: str) -> None:
    """A file with anything but a number in it is left as it is."""
    path = tmp_path / "notes"
    path.write_text(held)
    with pytest.raises(FileExistsError, match="holds something else than the number of a process"):
        with held_pid_file(str(path)):
            pass

    assert path.read_text() == held


def test_log(tmp_path: Path) -> None:
    """Output is appended to a file that others cannot read."""
    path = tmp_path / "log"
    script = (
        "import os, sys\n"
        "from easycluster_server._system.background import close_input, open_log, redirect_output\n"
        "print('to the terminal')\n"
        "redirect_output(open_log(sys.argv[1])); close_input()\n"
        "print('to the log', flush=True); os.system('echo from a program >&2'); print(repr(sys.stdin.read()))\n"
    )
    for _ in range(2):
        printed = subprocess.check_output([sys.executable, "-c", script, str(path)], text=True)
        assert printed == "to the terminal\n"

    assert path.read_text() == "to the log\nfrom a program\n''\n" * 2
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_impossible_log(tmp_path: Path) -> None:
    """A log that cannot be written is an error that names it."""
    with pytest.raises(FileNotFoundError, match="missing"):
        open_log(str(tmp_path / "missing" / "log"))
