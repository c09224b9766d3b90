"""``python -m easycluster`` is the command line of the server."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest

from easycluster.__main__ import main

COMMAND = "easycluster_server._command_line"


def test_the_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its result is that of the server's command line."""
    module: Any = ModuleType(COMMAND)
    module.main = lambda: 7
    monkeypatch.setitem(sys.modules, COMMAND, module)

    assert main() == 7


@pytest.mark.parametrize("missing", ["easycluster_server", COMMAND])
def test_without_the_server(
    missing: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where the server is not installed, one line says what to install."""
    for name in [name for name in sys.modules if f"{name}.".startswith(f"{missing}.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)  # so it cannot be imported

    assert main() == 1
    assert capsys.readouterr().err == (
        "python -m easycluster needs the server: pip install easycluster-server\n"
    )


def test_a_module_that_the_server_misses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any other module that cannot be found is an error of its own."""

    def fail(name: str) -> Any:
        raise ModuleNotFoundError("No module named 'selectors'", name="selectors")

    monkeypatch.setattr("easycluster.__main__.import_module", fail)

    with pytest.raises(ModuleNotFoundError, match="selectors"):
        main()
