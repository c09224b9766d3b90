"""The user's own ssh configuration decides how a host is reached."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from easycluster import Client
from easycluster_server._system.posix.proc import find_descendants, read_processes
from helpers.client_states import ssh_process
from helpers.sshd import Sshd

pytestmark = pytest.mark.needs_sshd


def write_config(folder: Path, sshd: Sshd, text: str) -> list[str]:
    """The arguments for a configuration that is ``text`` and then that of the tests."""
    path = folder / "config"
    path.write_text(f"{text}\nInclude {sshd.config}\n")
    return ["-F", str(path)]


def ssh_processes(client: Any) -> list[list[str]]:
    """The arguments of the client's ssh and of those that it started."""
    process = ssh_process(client)
    pids = [process.pid, *(each.pid for each in find_descendants(process.pid, read_processes()))]
    return [Path(f"/proc/{pid}/cmdline").read_text().split("\0")[:-1] for pid in pids]


def test_jump_host(sshd: Sshd, tmp_path: Path) -> None:
    """A jump host of the configuration is used."""
    extra = write_config(tmp_path, sshd, "Host far\n  ProxyJump near\nHost *")
    with Client(None, "far", ssh=True, rpython=sys.executable, extra_args=extra) as client:
        assert client.eval("6 * 7") == 42
        assert client.eval("'x' * 5_000_000") == "x" * 5_000_000
        own, jump = ssh_processes(client)

    assert own[own.index("--") + 1] == "far"
    assert jump[-1] == "near"


def test_host_user_and_port(sshd: Sshd, tmp_path: Path) -> None:
    """An alias of the configuration has its own name, user and port, and nothing of that is passed to ssh."""
    user = sshd.config.read_text().partition("User ")[2].split()[0]
    # Debian's ssh has another default for the interval with BatchMode.
    text = f"Host alias\n  HostName localhost\n  User {user}\n  Port {sshd.port}\n  BatchMode no\nHost *"
    extra = write_config(tmp_path, sshd, text)
    with Client(None, "alias", ssh=True, rpython=sys.executable, extra_args=extra) as client:
        assert client.eval("6 * 7") == 42
        (arguments,) = ssh_processes(client)

    between = arguments[1 + len(extra) : arguments.index("--")]
    assert between == ["-o", "ServerAliveInterval=15"]


def test_shared_connection(sshd: Sshd, tmp_path: Path) -> None:
    """With ControlMaster and ControlPersist clients share ssh's own connection, which stays when they are closed."""
    text = f"Host *\n  ControlMaster auto\n  ControlPath {tmp_path}/c\n  ControlPersist 600"
    extra = write_config(tmp_path, sshd, text)

    def control(command: str) -> int:
        return subprocess.run(
            ["ssh", *extra, "-O", command, "h"], capture_output=True, check=False
        ).returncode

    try:
        clients = [Client(None, "h", ssh=True, rpython=sys.executable, extra_args=extra) for _ in range(2)]
        assert [client.eval("6 * 7") for client in clients] == [42, 42]
        for client in clients:
            client.close()

        assert control("check") == 0
        with Client(None, "h", ssh=True, rpython=sys.executable, extra_args=extra) as third:
            assert third.eval("6 * 7") == 42
    finally:
        ended = control("exit")
    assert ended == 0


@pytest.mark.parametrize(
    "option",
    [
        "Compression yes",
        "EscapeChar ~",
        "ForkAfterAuthentication yes",
        "ForwardX11 yes",
        "LogLevel DEBUG",
        "RemoteCommand tmux new",
        "RequestTTY force",
        "RequestTTY yes",
        "SessionType none",
        "StdinNull yes",
    ],
)
def test_other_options(sshd: Sshd, tmp_path: Path, capfd: pytest.CaptureFixture[str], option: str) -> None:
    """Whatever else stands there, the bytes of the connection are not touched."""
    extra = write_config(tmp_path, sshd, f"Host *\n  {option}")
    value = bytes(range(256)) * 100 + b"\r\n~.\n~?\n\r~.\r"
    with Client(None, "h", ssh=True, rpython=sys.executable, extra_args=extra) as client:
        assert client.call("bytes", value) == value


@pytest.mark.parametrize(
    "extra", [["-tt"], ["-t"], ["-o", "RequestTTY=force"], ["-o", "RemoteCommand=tmux"]], ids=" ".join
)
def test_other_arguments(sshd: Sshd, extra: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    """The same for what the user passes to ssh; ssh does not complain of it either."""
    value = bytes(range(256)) * 100
    with Client(None, "h", ssh=True, rpython=sys.executable, extra_args=[*sshd.options, *extra]) as client:
        assert client.call("bytes", value) == value

    assert capfd.readouterr().err == ""
