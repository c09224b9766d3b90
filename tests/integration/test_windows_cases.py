"""The tables of the cases that run with a server, or a master, on Windows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from helpers.windows_cases import (
    ALL,
    FROM_WINDOWS,
    NOT_FROM_WINDOWS,
    NOT_ON_WINDOWS,
    runs_from_windows,
    runs_on_windows,
)

FOLDER = Path(__file__).parent

#: The least that runs with a server there, of the cases that run over TCP.
SHARE = 0.6


def test_names_of_the_table() -> None:
    """Each name in it is that of a test, so that none stays when its test goes."""
    for module in FROM_WINDOWS:
        assert (FOLDER / f"{module}.py").exists(), module
    for cases in NOT_ON_WINDOWS.values():
        for module, names in cases.items():
            found = find_tests(module)
            assert names == ALL or names <= found, names - found
            assert not any(runs_on_windows(module, name) for name in (found if names == ALL else names))


def test_each_module_from_windows() -> None:
    """A module whose cases run over each transport runs from Windows, or the table says why not, and which cases."""
    whole = {module for cases in NOT_FROM_WINDOWS.values() for module, names in cases.items() if names == ALL}
    assert not whole & FROM_WINDOWS
    for cases in NOT_FROM_WINDOWS.values():
        for module, names in cases.items():
            found = find_tests(module)
            assert names == ALL or names <= found, names - found
            assert module in FROM_WINDOWS | whole
            assert not any(runs_from_windows(module, name) for name in (found if names == ALL else names))


def test_share(request: pytest.FixtureRequest) -> None:
    """Most cases that run over TCP run there, too."""
    transports = [
        item.callspec.params["transport"]
        for item in request.session.items
        if hasattr(item, "callspec") and "transport" in item.callspec.params
    ]
    there, here = transports.count("wine"), transports.count("tcp")
    if here:  # only some tests may have been chosen, as by -k
        assert there >= SHARE * here or there == 0


def find_tests(module: str) -> set[str]:
    """The names of a module's tests."""
    return set(re.findall(r"^def (test_\w+)", (FOLDER / f"{module}.py").read_text(), re.MULTILINE))
