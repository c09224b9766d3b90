"""The modules that choose a half: both halves give the same names."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import easycluster_server._system

FOLDER = Path(easycluster_server._system.__file__).parent
CHOOSING = [path for path in sorted(FOLDER.glob("*.py")) if "sys.platform" in path.read_text()]


def names_of(branch: list[ast.stmt], half: str) -> set[str]:
    """The names that a branch imports, all of them from its half."""
    imports = [node for node in branch if isinstance(node, ast.ImportFrom)]
    assert len(imports) == len(branch)
    assert all((node.module or "").startswith(f"{half}.") and node.level == 1 for node in imports)
    return {alias.asname or alias.name for node in imports for alias in node.names}


def chosen_names(path: Path) -> tuple[set[str], set[str]]:
    """The names that a module takes from the half for Windows, and from the other one."""
    (choice,) = (
        node for node in ast.parse(path.read_text()).body if isinstance(node, ast.If) and node.orelse
    )
    return names_of(choice.body, "windows"), names_of(choice.orelse, "posix")


def defined_names(node: ast.stmt) -> set[str]:
    """The names that a statement of a module defines."""
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return {node.name}
    targets = (
        node.targets
        if isinstance(node, ast.Assign)
        else [node.target]
        if isinstance(node, ast.AnnAssign)
        else []
    )
    return {target.id for target in targets if isinstance(target, ast.Name)}


@pytest.mark.parametrize("path", CHOOSING, ids=lambda path: path.stem)
def test_both_halves_have_the_names(path: Path) -> None:
    """Whatever a module takes from one half, it takes from the other as well."""
    windows, posix = chosen_names(path)

    assert windows == posix != set()


@pytest.mark.parametrize("path", CHOOSING, ids=lambda path: path.stem)
def test_the_half_for_windows_defines_the_names(path: Path) -> None:
    """Each name that is taken from the half for Windows is one of its module, which this system cannot import."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("windows."):
            module = FOLDER.joinpath(*str(node.module).split(".")).with_suffix(".py")
            defined = set().union(*map(defined_names, ast.parse(module.read_text()).body))
            assert {alias.name for alias in node.names} <= defined, module
