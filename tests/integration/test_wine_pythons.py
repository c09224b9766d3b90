"""Windows Pythons under wine have this checkout's wheels, as pip installs them there."""

from __future__ import annotations

import subprocess
import sys

import pytest

from helpers import wine

pytestmark = [
    pytest.mark.needs_wine,
    pytest.mark.usefixtures("windows"),
    pytest.mark.xdist_group("wine"),
    # The first test that needs a Windows Python installs the packages there.
    pytest.mark.timeout(400),
]

SCRIPT = "import sys, numpy, easycluster_protocol as ours; print(sys.platform, sys.version_info[:2], ours.__file__)"


@pytest.mark.parametrize("version", [wine.OLDEST, wine.USUAL, wine.NEWEST])
def test_wheels_are_installed(version: str) -> None:
    """It is Windows, pip has put the packages into site-packages and a command into Scripts, and NumPy works."""
    python = wine.WindowsPython(version)
    platform, *numbers, path = wine.run(python.python("-c", SCRIPT)).strip().split(maxsplit=3)
    assert platform == "win32"
    assert "".join(numbers) == f"({version.replace('.', ',')})"
    assert path.lower().startswith(wine.windows_path(python.folder / "Lib" / "site-packages").lower())
    assert (python.folder / "Scripts" / "easycluster.exe").exists()


def test_set_up_twice_at_once() -> None:
    """What is there is kept, whoever asks at the same time."""
    command = [sys.executable, str(wine.ROOT / "scripts" / "wine_pythons")]
    runs = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    made = {run.communicate()[0].strip() for run in runs}
    assert made == {str(wine.prefix())}
    assert [run.returncode for run in runs] == [0, 0, 0]
