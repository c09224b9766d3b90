"""The cases of the one fixture with a master on Windows, under wine: pytest runs there, the server is on this system."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from helpers import windows_master, wine
from helpers.servers import Server
from helpers.windows_cases import FROM_WINDOWS

pytestmark = [pytest.mark.needs_wine, pytest.mark.usefixtures("windows"), pytest.mark.timeout(400)]

#: How many processes run them, one after the other, or at once with several workers of pytest-xdist.
PARTS = 4

PLUGINS = ("helpers.clients", "helpers.time_limits", "helpers.windows_master", "no:cacheprovider")


@pytest.mark.parametrize("part", range(PARTS))
def test_cases(tcp_server: Server, key_file: Path, part: int) -> None:
    """All of them pass, and none is left out."""
    modules = [f"tests/integration/{name}.py" for name in sorted(FROM_WINDOWS)[part::PARTS]]
    plugins = [word for name in PLUGINS for word in ("-p", name)]
    printed = wine.run(
        wine.WindowsPython(wine.USUAL).python("-m", "pytest", "--noconftest", *plugins, "-q", *modules),
        cwd=wine.ROOT,
        PYTHONPATH=wine.windows_path(wine.ROOT / "tests"),
        PYTHONDONTWRITEBYTECODE="1",
        **{
            windows_master.PORT: str(tcp_server.port),
            windows_master.KEY_FILE: str(key_file),
            windows_master.LOG: str(tcp_server.log_file),
        },
    )
    summary = printed.strip().splitlines()[-1]
    assert re.search(r"\d+ passed", summary), printed
    assert not re.search("skipped|xfailed", summary), printed
