"""The examples in README and guide run."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def python_blocks(path: Path) -> list[str]:
    """Return the Python examples of a document."""
    return re.findall(r"^```python\n(.*?)^```", path.read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(
    "name", ["README.md", "docs/guide-parallel.md", "docs/guide-threads.md", "docs/guide-objects.md"]
)
def test_examples_run(name: str) -> None:
    """Each Python example of the document runs as it stands, in a process of its own."""
    blocks = python_blocks(ROOT / name)

    assert blocks
    for block in blocks:
        result = subprocess.run([sys.executable, "-c", block], capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr
        for expected in re.findall(r"print\(.*#\s(\d+)", block):
            assert expected in result.stdout.split()


def test_links_lead_somewhere() -> None:
    """Every relative link of README and docs names a file that exists."""
    for path in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", path.read_text()):
            assert (path.parent / target).exists(), f"{path.name}: {target}"
