"""The server as a service of SysV init, on a host with the programs of Debian: each verb, and a call."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from easycluster import Client
from helpers.init_host import InitHost
from helpers.sshd import free_port

pytestmark = pytest.mark.needs_mounts

PACKAGES = Path(__file__).parents[2] / "packages"


@pytest.fixture
def host(tmp_path: Path) -> Iterator[InitHost]:
    """A host with a virtual environment of the system's Python in /opt/shared, and the file of SysV init."""
    shared = tmp_path / "shared"
    subprocess.run(["/usr/bin/python3", "-m", "venv", "--without-pip", str(shared)], check=True)
    (site,) = shared.glob("lib/python3*/site-packages")
    for package in ("protocol", "server"):
        for source in (PACKAGES / f"easycluster-{package}" / "src").iterdir():
            shutil.copytree(source, site / source.name, ignore=shutil.ignore_patterns("__pycache__"))
    with InitHost(tmp_path, shared) as host:
        host.run("touch", "/etc/inittab")
        yield host


def easycluster(host: InitHost, *arguments: object, status: int = 0) -> str:
    """Run the command there, and return what it printed."""
    done = host.run("/opt/shared/bin/python", "-m", "easycluster", *arguments, check=False)
    assert done.returncode == status, done.stdout
    return done.stdout


def test_life_of_a_service(host: InitHost) -> None:
    """It is installed, linked, starts as a user of its own, comes back after a kill, stops, and is removed."""
    port = free_port()
    assert "is installed (sysv)" in easycluster(host, "--status", status=4)
    said = easycluster(host, "--install", "--start", "-p", port, "-b", "127.0.0.1")
    assert "ran: update-rc.d easycluster defaults" in said
    assert host.run("sh", "-c", "ls -d /etc/rc?.d/S*easycluster | wc -l").stdout.strip() == "4"
    assert "runs (sysv)" in easycluster(host, "--status")
    assert "everything is installed so already" in easycluster(host, "--install", "--start")

    key = bytes.fromhex(host.run("cat", "/etc/easycluster/server.key").stdout.strip())
    user = int(host.run("id", "-u", "easycluster").stdout)
    with Client(key, "127.0.0.1", port) as client:
        assert client.eval("__import__('os').getuid()") == user
        assert client.eval("__import__('os').environ['HOME']") == "/var/lib/easycluster"

    host.run("sh", "-c", "kill -KILL $(cat /var/run/easycluster/easycluster.pid)")
    easycluster(host, "--status", status=3)
    easycluster(host, "--start")
    with Client(key, "127.0.0.1", port) as client:
        assert client.eval("1 + 1") == 2
    easycluster(host, "--stop")
    assert easycluster(host, "--stop") == "it does not run\n"

    assert "left: the key, /etc/easycluster/server.key" in easycluster(host, "--uninstall")
    assert (
        host.run("sh", "-c", "ls /etc/rc?.d /etc/init.d /var/log /run | grep easycluster", check=False).stdout
        == ""
    )
    assert host.run("id", "easycluster", check=False).returncode == 1
    assert host.run("stat", "-c", "%U %a", "/etc/easycluster/server.key").stdout == "root 600\n"
    assert "nothing was installed" in easycluster(host, "--uninstall")
