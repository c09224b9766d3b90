"""The table of the cases that run with a server on Windows."""

from __future__ import annotations

import re
from pathlib import Path

from helpers.windows_cases import MODULES, NOT_ON_WINDOWS, runs_on_windows

FOLDER = Path(__file__).parent


def test_names_of_the_table() -> None:
    """Each name in it is that of a test, so that none stays when its test goes."""
    for module in MODULES:
        assert (FOLDER / f"{module}.py").exists(), module
    for cases in NOT_ON_WINDOWS.values():
        for module, names in cases.items():
            assert module in MODULES
            found = re.findall(r"^def (test_\w+)", (FOLDER / f"{module}.py").read_text(), re.MULTILINE)
            assert names <= set(found), names - set(found)
            assert not any(runs_on_windows(module, name) for name in names)
