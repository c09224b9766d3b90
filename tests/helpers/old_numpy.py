"""Pythons with NumPy 1, which hosts may have while the master has NumPy 2, and the other way round."""

from __future__ import annotations

import fcntl
import functools
import os
import subprocess
import tempfile
from pathlib import Path

import pytest

from helpers.pythons import find_pythons

#: Python → the last NumPy 1 that has nothing of NumPy 2's names.
VERSIONS = {"3.8": "1.24.4", "3.10": "1.25.2"}

#: The environments live as long as the run, or longer: this is where the next run finds them.
_FOLDER = Path(tempfile.gettempdir(), f"easycluster-tests-numpy-{os.getuid()}")


@functools.cache
def python_with_old_numpy(version: str) -> str:
    """The path of a Python of this version that has NumPy 1; it is made if need be, by pip.

    Without a package index the test is left out, by name; where everything is required, it fails.
    """
    _FOLDER.mkdir(mode=0o700, exist_ok=True)
    with (_FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another process of this run may be making it
        return _find_or_make(version)


def _find_or_make(version: str) -> str:
    numpy = VERSIONS[version]
    folder = _FOLDER / f"{version}-{numpy}"
    python = folder / "bin" / "python"
    check: list[str | Path] = [python, "-c", "import numpy; print(numpy.__version__)"]
    if python.exists() and subprocess.run(check, capture_output=True, check=False).returncode == 0:
        return str(python)
    subprocess.run([find_pythons()[version], "-m", "venv", "--clear", folder], check=True)
    install: list[str | Path] = [
        python,
        "-m",
        "pip",
        "install",
        "-q",
        "--disable-pip-version-check",
        "--only-binary=:all:",
        f"numpy=={numpy}",
    ]
    result = subprocess.run(install, capture_output=True, text=True, check=False)
    if result.returncode:
        reason = f"NumPy {numpy} for Python {version} cannot be installed: {result.stderr[-500:]}"
        if os.environ.get("EASYCLUSTER_REQUIRE_ALL") == "1":
            pytest.fail(reason)
        pytest.skip(f"left out: {reason}")
    return str(python)
