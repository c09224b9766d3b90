"""Linting of shell scripts that we generate."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def check_script(text: str, *excluded: str) -> None:
    """Assert that shellcheck finds nothing in a script of the POSIX shell.

    Args:
        text: the script.
        excluded: the codes of findings that say nothing about such a script.
    """
    # It is a program that is installed like a Python package.
    program = str(Path(sys.executable).with_name("shellcheck"))
    command = [program, "--shell=sh", f"--exclude={','.join(excluded)}", "-"]
    found = subprocess.run(command, input=text, stdout=subprocess.PIPE, text=True, check=False)
    assert found.returncode == 0, found.stdout
