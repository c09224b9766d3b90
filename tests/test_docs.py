"""The examples in README and guide run, and the links of all pages lead somewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from easycluster_server._command_line.parser import find_verb, make_parser
from easycluster_server._standalone.config.file import read_config_file

ROOT = Path(__file__).parents[1]
PAGES_ABOUT_MODULES = [ROOT / "docs" / "architecture.md", *sorted((ROOT / "docs" / "decisions").glob("*.md"))]


def python_blocks(path: Path) -> list[str]:
    """Return the Python examples of a document."""
    return re.findall(r"^```python\n(.*?)^```", path.read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(
    "name",
    [
        "README.md",
        "docs/guide-failures.md",
        "docs/guide-objects.md",
        "docs/guide-parallel.md",
        "docs/guide-threads.md",
    ],
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


def test_server_page(tmp_path: Path) -> None:
    """The page of the standalone server has command lines and a configuration file that the command accepts."""
    text = (ROOT / "docs" / "server.md").read_text()
    commands = re.findall(r"(?<=[`/ \n])easycluster (-[^`\n]*)", text)
    parser = make_parser()

    assert len(commands) > 10
    for command in commands:
        options = parser.parse_args(command.split()) if "--help" not in command else None
        assert options is None or find_verb(parser, options), command
    for block in re.findall(r"^```ini\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        path = tmp_path / "server.ini"
        path.write_text(block)
        assert read_config_file(str(path)).given["port"] == 12000


def headings(path: Path) -> set[str]:
    """Return the anchors of a page: its headings, as GitHub names them."""
    text = re.sub(r"^```.*?^```", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)
    found = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in found}


def test_links_lead_somewhere() -> None:
    """Every relative link of a page names a file that exists, and a heading in it."""
    for path in [*ROOT.glob("*.md"), ROOT / "benchmarks" / "README.md", *(ROOT / "docs").rglob("*.md")]:
        for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", path.read_text()):
            page = path.parent / target if target else path
            assert page.exists(), f"{path.name}: {target}"
            assert not anchor or anchor in headings(page), f"{path.name}: {target}#{anchor}"


def test_states_are_drawn_from_the_tables() -> None:
    """The drawings of states are those that `scripts/draw_states` makes; its ``--write`` brings them up to date."""
    drawn = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "draw_states")], check=True, capture_output=True, text=True
    ).stdout
    shown = (ROOT / "docs" / "architecture.md").read_text().partition("<!-- begin of the states")[2]

    assert shown.partition("-->")[2].partition("<!-- end of the states -->")[0].strip() == drawn.strip()


def test_reference_is_made_from_the_docstrings() -> None:
    """The reference is the page that `scripts/make_reference` makes; its ``--write`` brings it up to date."""
    made = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "make_reference")], check=True, capture_output=True, text=True
    ).stdout

    assert (ROOT / "docs" / "reference.md").read_text() == made


@pytest.mark.parametrize("page", PAGES_ABOUT_MODULES, ids=lambda page: page.name)
def test_modules_that_pages_name_exist(page: Path) -> None:
    """A module that a page about the packages names by its folder is there."""
    named = set(re.findall(r"`(_[a-z_]+(?:/[a-z_]+)+)(?:\.py)?`", page.read_text(encoding="utf-8")))
    there = {
        "/".join(path.relative_to(ROOT).with_suffix("").parts[4:])
        for path in ROOT.glob("packages/*/src/*/*/**/*.py")
    }

    assert named - there == set()


def test_tests_that_pages_name_exist() -> None:
    """A test, a file of tests or a benchmark that a page names by its path is there."""
    for page in sorted((ROOT / "docs").rglob("*.md")):
        text = page.read_text(encoding="utf-8")
        for path, name in re.findall(r"`((?:tests|benchmarks)/[\w/]+\.py)(?:::(\w+))?`", text):
            assert (ROOT / path).is_file(), f"{page.name}: {path}"
            assert f"def {name}(" in (ROOT / path).read_text(encoding="utf-8") or not name, (
                f"{page.name}: {name}"
            )
