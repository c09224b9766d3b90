"""A master on Windows, under wine, that connects by ``ssh.exe``: a stand-in with pipes, behind which is the real ssh."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers import wine
from helpers.sshd import Sshd
from helpers.wine_ssh import SshBridge, bridge

pytestmark = [
    pytest.mark.needs_wine,
    pytest.mark.needs_sshd,
    pytest.mark.usefixtures("windows"),
    # The first test that needs a Windows Python installs the packages there.
    pytest.mark.timeout(400),
]

#: Runs on Windows. Its arguments are the kind of client and a spec.
BEGIN = """
import sys
import easycluster
from easycluster import *
kind, spec = getattr(easycluster, sys.argv[1]), sys.argv[2]
"""

CALLS = """
with kind.from_spec(spec) as client:
    print(client.eval("6 * 7"), client.sys.platform.value, len(client.bytes(10_000_000)))
    data = bytes(range(256)) * 20_000
    print(client.len(data), client.bytes(data) == data)
    try:
        client.eval("1 / 0")
    except ZeroDivisionError:
        print("ZeroDivisionError")
    client.subprocess.check_call(["sh", "-c", "echo printed there >&2"])
    sys.stderr.flush()
client = kind.from_spec(spec)
pending = client.time.sleep(600, nonblocking=True)
client.close()
print("closed")
"""

SEVERAL = """
from easycluster.parallel import connect_all
with connect_all([spec, "other" + spec], clientclass=kind) as clients:
    print([client.eval("6 * 7") for client in clients.values()])
"""

LOST = """
client = kind.from_spec(spec)
try:
    client.os._exit(7)
except ConnectionLost as error:
    print(error)
client.close()
"""

REFUSED = """
try:
    kind.from_spec(spec)
except ConnectError as error:
    print(error)
"""


@pytest.fixture
def ssh(sshd: Sshd, tmp_path: Path) -> Iterator[SshBridge]:
    """The stand-in, in a folder with a space in its name."""
    with bridge(sshd, tmp_path / "with a space") as made:
        yield made


def run(script: str, kind: str, spec: str, path: str = "") -> str:
    """Run a script on Windows, with a folder added to its PATH; return what it printed."""
    python = wine.WindowsPython(wine.USUAL)
    return wine.run(python.python("-c", BEGIN + script, kind, spec), WINEPATH=path)


@pytest.mark.parametrize("kind", ["Client", "ThreadedClient"])
def test_calls(ssh: SshBridge, kind: str) -> None:
    """Clients connect, call, print what the host prints, and are closed, also in the middle of a call."""
    printed = run(CALLS, kind, f"h:ssh={ssh.program}:rpython={shlex.quote(sys.executable)}")

    assert "printed there\n" in printed
    expected = ["42 linux 10000000", "5120000 True", "ZeroDivisionError", "closed"]
    assert [line for line in printed.splitlines() if line in expected] == expected, printed
    assert all("h" in command for command in ssh.commands)


def test_found_in_path(ssh: SshBridge) -> None:
    """Without a path it is the ``ssh.exe`` of PATH; several run at once."""
    folder = ssh.program.rpartition("\\")[0]
    printed = run(SEVERAL, "Client", f"h:ssh=yes:rpython={shlex.quote(sys.executable)}", folder)
    assert printed.splitlines()[-1] == "[42, 42]", printed


def test_lost(ssh: SshBridge) -> None:
    """The error of a call names how the server's process ended."""
    printed = run(LOST, "Client", f"h:ssh={ssh.program}:rpython={shlex.quote(sys.executable)}")
    assert "ended itself with status 7" in printed


def test_refused(ssh: SshBridge) -> None:
    """What ssh prints is in the error when it cannot connect."""
    printed = run(REFUSED, "Client", f"h:ssh={ssh.program}:extra=-oPort=1")
    assert re.search("connect to host .* port 1: Connection refused", printed), printed


def test_no_program() -> None:
    """Where there is no ``ssh.exe`` the error says what to install."""
    printed = run(REFUSED, "Client", "h:ssh=yes")
    assert "there is no program 'ssh'" in printed
