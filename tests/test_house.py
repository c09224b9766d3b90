"""The house itself: what `make` and its scripts say, and how long files and functions may grow."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "packages").glob("*/src/**/*.py"))
LONGEST_FILE = 400
LONGEST_FUNCTION = 50

#: Why → modules without a test file of their name. The list only ever gets shorter.
WITHOUT_TEST_FILES: dict[str, set[str]] = {
    "it has nothing but types, which the type checkers check": {
        "easycluster_client/_calls/owner.py",
        "easycluster_protocol/_types.py",
        "easycluster_server/_system/transport_types.py",
    },
    "no system but Windows can import it": {
        path.as_posix().rpartition("/src/")[2]
        for path in SOURCES
        if path.parent.name == "windows" and path.name != "__init__.py"
    },
}

#: Modules whose names depend on the system, and those that not every system has.
SYSTEM_MODULES = {"os", "select", "signal", "_signal", "socket", "_socket"}
POSIX_MODULES = {"fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty"}
WINDOWS_MODULES = {"_winapi", "msvcrt", "nt", "winreg"}

#: Where a module may ask for the platform outside of `easycluster_server/_system`, and why.
ASKS_FOR_THE_PLATFORM = {
    "easycluster_protocol/_handshake/hello.py": "it tells the peer",
    "easycluster_protocol/keys.py": "the protocol is below the server, and so below its _system",
}

#: Modules of the client that are not divided yet. The list only ever gets shorter.
NOT_DIVIDED = {"easycluster_client/_session/watch.py"}

FAKE_PYTHON = """#!/bin/sh
case $2 in
    *print*) echo {version} ;;
    *exit*) exit {too_old} ;;
    *ensurepip*) exit 1 ;;
esac
"""


def run_setup(checkout: Path, python: str) -> str:
    """Runs the set-up in an empty checkout where it must fail, and returns what it says."""
    (checkout / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "setup", checkout / "scripts")
    result = subprocess.run(
        [str(checkout / "scripts" / "setup"), "run"],
        env={**os.environ, "PYTHON": python},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert not (checkout / ".venv").exists()
    return result.stderr


def fake_python(folder: Path, version: str, *, too_old: bool) -> str:
    """An interpreter of some version that cannot make virtual environments."""
    path = folder / "python"
    path.write_text(FAKE_PYTHON.format(version=version, too_old=int(too_old)))
    path.chmod(0o755)
    return str(path)


def run_pytest_without_tools(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs two tests, of which one needs ps, on a system that has no command at all."""
    (folder / "test_needs.py").write_text(
        "import pytest\n\n\n@pytest.mark.needs_procps\ndef test_with_ps(): ...\n\n\ndef test_without(): ...\n"
    )
    (folder / "pytest.ini").write_text("[pytest]\nmarkers = needs_procps: ps\n")
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-ra", "-p", "no:cacheprovider", "-p", "helpers.system_needs"],
        cwd=folder,
        env={"PATH": str(folder), "PYTHONPATH": str(ROOT / "tests"), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_help_names_every_target() -> None:
    """`make` alone explains every target that one may ask for."""
    printed = subprocess.run(["make", "-C", str(ROOT)], check=True, capture_output=True, text=True).stdout
    (phony,) = re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)

    assert re.findall(r"^make (\w+) ", printed, re.MULTILINE) == phony.split()


def test_setup_names_an_old_python(tmp_path: Path) -> None:
    """A Python older than 3.10 is refused with its version and what to type instead."""
    said = run_setup(tmp_path, fake_python(tmp_path, "3.8", too_old=True))

    assert "is Python 3.8, and the client needs 3.10 or newer" in said
    assert "make PYTHON=" in said


def test_setup_names_the_package_of_venv(tmp_path: Path) -> None:
    """Where Debian's Python lacks venv or ensurepip, the apt package that brings them is named."""
    said = run_setup(tmp_path, fake_python(tmp_path, "3.11", too_old=False))

    assert "apt install python3-venv (or python3.11-venv)" in said


def test_setup_names_a_missing_python(tmp_path: Path) -> None:
    """Where there is no Python at all, the apt packages that bring it are named."""
    said = run_setup(tmp_path, str(tmp_path / "nowhere"))

    assert "apt install python3 python3-venv" in said


def test_missing_needs_are_left_out_by_name(tmp_path: Path) -> None:
    """A test that needs what the system lacks is left out, and the summary says which and why."""
    result = run_pytest_without_tools(tmp_path)

    assert result.returncode == 0, result.stdout + result.stderr
    assert "left out: test_with_ps needs procps" in result.stdout
    assert "1 passed, 1 skipped" in result.stdout


def test_missing_needs_fail_where_all_are_required(tmp_path: Path) -> None:
    """With EASYCLUSTER_REQUIRE_ALL=1 nothing is left out: the run stops and says what is lacking."""
    result = run_pytest_without_tools(tmp_path, EASYCLUSTER_REQUIRE_ALL="1")

    assert result.returncode == pytest.ExitCode.USAGE_ERROR
    assert re.search("EASYCLUSTER_REQUIRE_ALL=1, and the system lacks: .*procps", result.stderr)


def function_length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """The lines of a function, without those of its docstring."""
    last = node.end_lineno or node.lineno
    docstring = node.body[0]
    if ast.get_docstring(node, clean=False) is None:
        return last - node.lineno + 1
    return last - node.lineno - ((docstring.end_lineno or docstring.lineno) - docstring.lineno)


def functions(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function of a file, nested ones and methods too."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]


def private_attributes_set(path: Path) -> list[str]:
    """The private attributes that a file sets, but for those of its own classes."""
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return [
        f"{path.relative_to(ROOT)}:{node.lineno} {ast.unparse(node)}"
        for node in nodes
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, (ast.Store, ast.Del))
        if re.match("_[^_]", node.attr) and ast.unparse(node.value) not in {"self", "cls"}
    ]


def test_private_state_is_set_by_name() -> None:
    """Tests bring objects into a state by the functions of two helpers, whose names say which state that is."""
    places = {"states.py", "client_states.py"}
    found = {path: private_attributes_set(path) for path in (ROOT / "tests").rglob("*.py")}

    assert {path.name for path, attributes in found.items() if attributes} == places, found


def test_files_stay_short() -> None:
    """No file of the packages is longer than one purpose needs."""
    lengths = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8").count("\n") for path in SOURCES}

    assert {name: length for name, length in lengths.items() if length > LONGEST_FILE} == {}


def test_functions_stay_short() -> None:
    """Every function of the packages fits on a screen, its docstring aside."""
    lengths = {
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}": function_length(node)
        for path in SOURCES
        for node in functions(path)
    }

    assert {name: length for name, length in lengths.items() if length > LONGEST_FUNCTION} == {}


def platform_questions(path: Path) -> list[str]:
    """Where a file asks which system this is, or imports what only one system has."""
    found: list[tuple[int, str]] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and ast.unparse(node) in {"os.name", "sys.platform"}:
            found.append((node.lineno, ast.unparse(node)))
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in {"hasattr", "getattr"}:
            if ast.unparse(node.args[0]) in SYSTEM_MODULES:
                found.append((node.lineno, ast.unparse(node)))
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module]
            found += [
                (node.lineno, f"import {module}")
                for module in modules
                if module in POSIX_MODULES | WINDOWS_MODULES
            ]
            names = {alias.name for alias in node.names}
            if modules[0] in {"os", "sys"} and names & {"name", "platform"}:
                found.append((node.lineno, ast.unparse(node)))
            if modules == ["platform"]:
                found.append((node.lineno, ast.unparse(node)))
    return [f"{path.relative_to(ROOT)}:{line} {text}" for line, text in found]


def test_only_the_system_folder_asks_for_the_platform() -> None:
    """What differs between systems is in one folder; nothing else asks which system this is.

    That nothing else uses the names of one system is shown by mypy, which `make check` runs for Windows, too.
    """
    exempt = {*ASKS_FOR_THE_PLATFORM, *NOT_DIVIDED}
    found = {
        name: questions
        for path in SOURCES
        if "/_system/" not in (name := path.as_posix().rpartition("/src/")[2])
        if (questions := platform_questions(path)) and name not in exempt
    }

    assert found == {}


def file_of_tests(source: str) -> Path:
    """Return the test file that has the name of a module: in the same folders, without their underscores."""
    package, *folders, name = Path(source).with_suffix("").parts
    place = package.partition("_")[2] or "facade"
    return ROOT.joinpath(
        "tests", place, *(folder.strip("_") for folder in folders), f"test_{name.strip('_')}.py"
    )


def test_each_module_has_a_test_file() -> None:
    """Each module has a test file of its name, unless there is a reason; an ``__init__`` only says what is in it."""
    names = {path.as_posix().rpartition("/src/")[2] for path in SOURCES}
    without = {
        name for name in names if not name.endswith("/__init__.py") and not file_of_tests(name).exists()
    }

    assert without == set().union(*WITHOUT_TEST_FILES.values())
