"""A server of another version: a copy of its packages that names another one, and cannot make calls."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path

PACKAGES = Path(__file__).parents[2] / "packages"

#: An older version than ours, and a newer one.
OLDER, NEWER = "0.9.0", "7.0.0"

#: What a call does there; no master would know how to deal with it.
_WITHOUT_CALLS = """


def make_runner(*_):
    raise RuntimeError("calls are taken out")
"""


def make_server_packages(folder: Path, version: str = OLDER) -> Path:
    """Make a folder with the packages that ``easycluster -S`` needs; return it."""
    for name in ("easycluster-protocol", "easycluster-server"):
        source = PACKAGES / name / "src"
        shutil.copytree(source, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    named = folder / "easycluster_protocol" / "_handshake" / "hello.py"
    text, count = re.subn(r'(?m)^VERSION = ".*"$', f'VERSION = "{version}"', named.read_text())
    assert count == 1
    named.write_text(text)
    with (folder / "easycluster_server" / "_serving" / "calls.py").open("a") as file:
        file.write(_WITHOUT_CALLS)
    return folder


def how_to_start(python: str, folder: Path) -> Mapping[str, object]:
    """The keywords of `helpers.servers.Server` for this Python and these packages."""
    return {"command": (python, "-m", "easycluster"), "env": {"PYTHONPATH": str(folder)}}
