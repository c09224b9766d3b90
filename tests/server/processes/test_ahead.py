from __future__ import annotations

import subprocess
import sys

import pytest

from easycluster_server._processes import ahead


def test_modules_are_imported() -> None:
    """What workers import later is there afterwards, the names of the facade too."""
    code = """
import sys
from easycluster_server._processes import ahead
ahead.load()
print("easycluster_server._serving.session" in sys.modules, "easycluster" in sys.modules)
ahead.warm_up()
print("server" in vars(sys.modules["easycluster"]) or len(vars(sys.modules["easycluster"])) > 20)
"""
    result = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)

    assert result.stdout == "True False\nTrue\n"


@pytest.mark.parametrize("load", ["load", "load_with_tls"])
def test_tls(load: str) -> None:
    """`ssl` is imported ahead for servers that offer TLS only."""
    code = f"import sys; from easycluster_server._processes import ahead; ahead.{load}(); print('ssl' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)

    assert result.stdout == f"{load == 'load_with_tls'}\n"


def test_connection_that_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once a connection waits no further module is imported ahead of it."""
    imported: list[str] = []
    monkeypatch.setattr(ahead, "import_module", imported.append)

    ahead.warm_up(lambda: len(imported) == 2)

    assert len(imported) == 2


def test_modules_that_cannot_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be imported ahead, as for want of descriptors, is left to the workers."""

    def fail(name: str) -> None:
        raise OSError("no descriptor")

    monkeypatch.setattr(ahead, "import_module", fail)
    ahead.warm_up()
