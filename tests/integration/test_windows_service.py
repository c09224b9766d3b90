"""The server as a service of Windows, under wine: each verb, and a call.

Wine does not notice that the process of a service has died, and its access control lists and firewall do nothing.
"""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from easycluster import Client
from helpers import wine
from helpers.sshd import free_port

pytestmark = [
    pytest.mark.needs_wine,
    pytest.mark.usefixtures("windows"),
    pytest.mark.xdist_group("wine"),
    # The first test that needs a Windows Python installs the packages there.
    pytest.mark.timeout(400),
]


@pytest.fixture
def folder() -> Iterator[Path]:
    """The folder of the service. One run at a time has it, and removes it."""
    folder = wine.prefix() / "drive_c" / "ProgramData" / "EasyCluster"
    with (wine.prefix() / "service.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder
        wine.run(wine.WindowsPython(wine.USUAL).python("-m", "easycluster", "--uninstall"))
        shutil.rmtree(folder, ignore_errors=True)


def easycluster(*arguments: object) -> str:
    """Run the command in Windows, as pip has installed it; return what it printed."""
    return wine.run(wine.WindowsPython(wine.USUAL).easycluster(*arguments))


def call(folder: Path, port: int) -> str:
    """The platform that a master finds at the service."""
    key = bytes.fromhex((folder / "server.key").read_text().strip())
    with Client(key, "127.0.0.1", port) as client:
        client.eval("print('printed there')")
        return str(client.eval("__import__('sys').platform"))


def test_life_of_a_service(folder: Path) -> None:
    """It is installed, starts, is called, gets other settings, stops, and is removed, all but its key."""
    port, other = free_port(), free_port()

    said = easycluster("--install", "-p", port, "-b", "127.0.0.1")
    assert "netsh advfirewall firewall add rule" in said
    assert "it starts on the next boot" in said
    easycluster("--query-installed")
    assert easycluster("--start") == "ran: sc start EasyCluster\n"
    assert easycluster("--start") == "it runs already\n"
    assert "the service of this machine runs (windows)" in easycluster("--status")
    assert call(folder, port) == "win32"
    assert "printed there" in (folder / "log" / "server.log").read_text()

    assert "everything is installed so already" in easycluster("--install", "--start")
    assert "ran: sc stop EasyCluster\nran: sc start EasyCluster\n" in easycluster(
        "--install", "--start", "-p", other
    )
    assert call(folder, other) == "win32"
    assert easycluster("--stop") == "ran: sc stop EasyCluster\n"
    assert easycluster("--stop") == "it does not run\n"

    assert "left: the key," in easycluster("--uninstall")
    assert [path.name for path in folder.iterdir()] == ["server.key"]
