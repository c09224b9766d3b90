"""The Pythons of this machine, one of each minor version: they stand for hosts that are older or newer.

Run as a script it prints, for `scripts/system_requirements`, which of the required ones are missing.
"""

from __future__ import annotations

import functools
import itertools
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest  # what runs this as a script need not have it

#: The marker of the tests that run under other Pythons than the one that runs pytest.
MARKER = "needs_pythons"

#: Minor versions that hosts may have and that continuous integration must try.
REQUIRED = tuple(f"3.{minor}" for minor in range(6, 14))

#: Where distributions keep Pythons, whatever PATH says.
_SYSTEM_FOLDERS = ("/usr/local/bin", "/usr/bin")


@functools.cache
def find_pythons() -> dict[str, str]:
    """From minor version, such as "3.6", to the path of its interpreter; oldest first, 2.7 too.

    Those of pyenv come first, then those on PATH, then the one that runs this.
    """
    found: dict[str, str] = {}
    for version, path in itertools.chain(_of_pyenv(), _on_path(found)):
        found.setdefault(version, path)
    found.setdefault(f"{sys.version_info[0]}.{sys.version_info[1]}", sys.executable)
    return dict(sorted(found.items(), key=lambda item: _numbers(item[0])))


def missing_pythons() -> list[str]:
    """Those that are required and not there, as commands: "python3.6"."""
    return [f"python{version}" for version in REQUIRED if version not in find_pythons()]


def host_pythons() -> list[str]:
    """The minor versions to test hosts with: the required ones, and what there is beyond them."""
    versions = {version for version in find_pythons() if _numbers(version) >= _numbers(REQUIRED[0])}
    return sorted(versions.union(REQUIRED), key=_numbers)


def every_python(since: str = REQUIRED[0]) -> pytest.MarkDecorator:
    """A decorator: runs a test once for each of those versions, from ``since`` on: its argument ``version``."""
    import pytest

    versions = [version for version in host_pythons() if _numbers(version) >= _numbers(since)]
    return pytest.mark.parametrize(
        "version", [pytest.param(each, marks=pytest.mark.needs_pythons(f"python{each}")) for each in versions]
    )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def _of_pyenv() -> Iterator[tuple[str, str]]:
    for root in (os.environ.get("PYENV_ROOT"), Path.home() / ".pyenv"):
        folders = Path(root, "versions").glob("*.*.*") if root else ()
        names = [folder for folder in folders if re.fullmatch(r"\d+\.\d+\.\d+", folder.name)]
        for folder in sorted(names, key=lambda folder: _numbers(folder.name), reverse=True):
            path = folder / "bin" / "python"
            if os.access(path, os.X_OK):
                yield folder.name.rpartition(".")[0], str(path)


def _on_path(known: dict[str, str]) -> Iterator[tuple[str, str]]:
    for folder in (*os.environ.get("PATH", "").split(os.pathsep), *_SYSTEM_FOLDERS):
        for path in sorted(Path(folder or ".").glob("python[0-9].*")):
            version = path.name[len("python") :]
            if re.fullmatch(r"\d+\.\d+", version) and version not in known and _is_python(path, version):
                yield version, str(path)


def _is_python(path: Path, version: str) -> bool:
    """Ask it: the shims of pyenv stand on PATH for Pythons that are not switched on."""
    script = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        result = subprocess.run([path, "-c", script], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return result.stdout.strip() == version


if __name__ == "__main__":
    for name in missing_pythons():
        print(f"{MARKER}\t{name}")  # noqa: T201 -- a command prints
