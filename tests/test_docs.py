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


def test_demo_runs() -> None:
    """`make demo` without hosts shows every part and leaves with status 0."""
    result = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "demo.py")], capture_output=True, text=True, check=False
    )

    assert result.returncode == 0, result.stderr
    assert "11301" in result.stdout
    assert "32 MB there and back" in result.stdout
    assert result.stdout.rstrip().endswith("nothing is left running")


def test_demo_names_what_is_wrong_with_a_host() -> None:
    """A spec that cannot be used ends the demo with one line that quotes it."""
    result = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "demo.py"), "host:nope=1"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert result.returncode == 1
    assert result.stderr.startswith("demo: ")
    assert "nope" in result.stderr
    assert len(result.stderr.splitlines()) == 1
