"""EasyCluster that is not installed: found by `sys.path.insert`, for a moment only, or in a zipapp."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipapp
from pathlib import Path
from typing import Any

import pytest

from helpers.masters import PREAMBLE, way_to_server
from helpers.waiting import PATIENCE

PACKAGES = Path(__file__).parents[2] / "packages"

SCRIPT = """
define_common('''
from easycluster import *

class Board(ServerObject):
    def measure(self):
        return 5

def starred():
    return "make_singleton" in globals()
''')
for _ in range(2):
    with connect() as host:
        result = [host.Board().measure(), host.starred()]
say(result=result, found=easycluster.__file__)
"""

BEGINNINGS = {
    "path": "import sys; sys.path.insert(0, {folder!r})\n",
    "for a moment": "import sys; sys.path.insert(0, {folder!r})\n"
    "import easycluster, easycluster_client, easycluster.server; del sys.path[0]\n",
    "zipapp": "",
}


@pytest.mark.parametrize("way", BEGINNINGS)
def test_packages_that_are_not_installed(
    request: pytest.FixtureRequest, transport: Any, tmp_path: Path, way: str
) -> None:
    """Clients connect, definitions find the names of the facade, and nothing is printed."""
    folder = tmp_path / "private"
    for source in PACKAGES.glob("*/src"):
        shutil.copytree(source, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    script = BEGINNINGS[way].format(folder=str(folder)) + PREAMBLE + SCRIPT
    if way == "zipapp":
        (folder / "__main__.py").write_text(script)
        file = tmp_path / "app.pyz"
        zipapp.create_archive(folder, file)
    else:
        file = tmp_path / "script.py"
        file.write_text(script)
    python: Any = vars(sys)["_base_executable"]  # without the packages of this environment
    how = json.dumps(way_to_server(request, transport.name, transport.server))
    result = subprocess.run(
        [python, file, how],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=PATIENCE * 2,
        check=False,
    )

    assert (result.returncode, result.stderr) == (0, "")
    said = json.loads(result.stdout)
    assert said["result"] == [5, True]
    assert said["found"].startswith(str(tmp_path))
