"""What ssh is given: programs that only note their arguments, and the real ssh, asked for its settings."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

import easycluster_bootstrap as bootstrap
from easycluster import ConnectError
from easycluster_client._connect.connect import connect
from easycluster_client._connect.spec import parse_connection_spec
from easycluster_client._keep_alive_options import KeepAliveOptions
from easycluster_client._ssh import command as command_module
from easycluster_client._ssh.process import SshProcess
from easycluster_server._system.posix.proc import find_descendants, read_processes
from helpers.fake_ssh import FAKE, NONE, FakeSsh, address, pid_of, start_ssh

pytestmark = pytest.mark.integration

ALIVE = ["-o", "ServerAliveInterval=15"]


#: What the address has beside the host, and the arguments that follow from it.
ARGUMENTS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "host": ({}, []),
    "port": ({"port": 2222}, ["-p", "2222"]),
    "user": ({"user": "me"}, ["-l", "me"]),
    "user and port": ({"user": "me", "port": 22}, ["-p", "22", "-l", "me"]),
    "extra": ({"extra_args": ("-o", "Compression=yes", "-4")}, ["-o", "Compression=yes", "-4"]),
    "everything": (
        {"extra_args": ("-F", "a file"), "user": "me", "port": 1},
        ["-F", "a file", "-p", "1", "-l", "me"],
    ),
}


def test_program_in_the_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """``~`` is the home folder in the path of the program, too."""
    monkeypatch.setenv("HOME", "/home/me")

    assert command_module.format_manual_command(address("~/bin/ssh")) == "/home/me/bin/ssh h"


@pytest.mark.parametrize("name", ARGUMENTS)
def test_arguments(fake: FakeSsh, processes: list[SshProcess], name: str) -> None:
    """Nothing is passed but what was asked for: the user's own arguments first, and all before the host."""
    options, expected = ARGUMENTS[name]
    processes.append(start_ssh(address(fake.path, **options)))

    command = bootstrap.remote_command()
    assert fake.started() == [*expected, *ALIVE, "--", "h", command]
    assert fake.asked() == ["-G", *expected, "--", "h"]


def test_remote_python(fake: FakeSsh, processes: list[SshProcess]) -> None:
    """The Python that was named is part of the one argument that is the remote command."""
    processes.append(start_ssh(address(fake.path, rpython="python3.9 -X utf8")))

    assert fake.started()[-1] == bootstrap.remote_command("python3.9 -X utf8")


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("h", ["h"]),
        ("me@h", ["-l", "me", "h"]),
        ("me@h:2222", ["-p", "2222", "-l", "me", "h"]),
        ('me@h:extra=-J "a b" -o X=1', ["-J", "a b", "-o", "X=1", "-l", "me", "h"]),
        ("h:user=me", ["-l", "me", "h"]),
    ],
)
def test_spec(fake: FakeSsh, processes: list[SshProcess], spec: str, expected: list[str]) -> None:
    """From a spec to the arguments: a port is passed only when the spec has one."""
    params: Any = parse_connection_spec(f"{spec}:ssh={fake.path}")
    options = {name: params[name] for name in ("host", "port", "user", "rpython", "extra_args")}
    processes.append(start_ssh(address(params["ssh"], **options)))

    arguments = fake.started()[:-1]
    assert arguments == [*expected[:-1], *ALIVE, "--", expected[-1]]


@pytest.mark.parametrize(
    ("settings", "status", "expected"),
    [
        (NONE, 0, ALIVE),
        (NONE.replace("\n", "\r\n"), 0, ALIVE),
        (NONE.replace("interval 0", "interval 1"), 0, []),
        (NONE.replace("interval 0", "interval 60"), 0, []),
        (NONE.replace("interval 0", "interval 05"), 0, []),
        ("", 0, []),
        ("serveraliveinterval 0", 0, []),
        (NONE, 1, []),
        (NONE + "batchmode no\n", 0, ALIVE),
        (NONE.replace("interval 0", "interval 300") + "batchmode yes\n", 0, ALIVE),
        (NONE.replace("interval 0", "interval 300") + "batchmode no\n", 0, []),
        (NONE.replace("interval 0", "interval 300"), 0, []),
    ],
)
def test_server_alive(
    fake: FakeSsh, processes: list[SshProcess], settings: str, status: int, expected: list[str]
) -> None:
    """An ssh is told to find dead connections when it says that it is not configured to, and only then."""
    fake.configure(settings, status)
    processes.append(start_ssh(address(fake.path)))

    assert fake.started()[:-1] == [*expected, "--", "h"]


@pytest.mark.parametrize(
    ("setting", "first", "last"),
    [
        ("requesttty auto", [], []),
        ("requesttty no", [], []),
        ("requesttty false", [], []),
        ("requesttty yes", [], ["-T"]),
        ("requesttty true", [], ["-T"]),
        ("requesttty force", [], ["-T"]),
        ("remotecommand none", [], []),
        ("remotecommand none such", ["-o", "RemoteCommand=none"], []),
        ("remotecommand tmux new", ["-o", "RemoteCommand=none"], []),
        ("sessiontype default", [], []),
        ("sessiontype none", ["-o", "SessionType=default"], []),
        ("stdinnull no", [], []),
        ("stdinnull yes", ["-o", "StdinNull=no"], []),
        ("forkafterauthentication false", [], []),
        ("forkafterauthentication true", ["-o", "ForkAfterAuthentication=no"], []),
    ],
)
def test_settings_that_break_a_connection(
    fake: FakeSsh, processes: list[SshProcess], setting: str, first: list[str], last: list[str]
) -> None:
    """What ssh says it is configured to is undone where our command would not run, or not get its bytes."""
    fake.configure(f"host h\n{setting}\n")
    processes.append(start_ssh(address(fake.path, extra_args=("-4",))))

    assert fake.started()[:-1] == [*first, "-4", *last, "--", "h"]


@pytest.mark.parametrize("sentence", ["exec sleep 1000", "sleep 1000\nexit 0"], ids=["itself", "child"])
def test_program_that_does_not_know_g(
    fake: FakeSsh, processes: list[SshProcess], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, sentence: str
) -> None:
    """A program that does not answer is asked no longer than a moment, and is ended with its children."""
    monkeypatch.setattr(command_module, "_QUERY_TIMEOUT", 0.2)
    go_on = f"echo $$ >{tmp_path}/pid\n{sentence}"
    fake.write(FAKE.format(folder=tmp_path, status=0).replace(f"cat {tmp_path}/settings", go_on))
    before = {process.pid for process in find_descendants(os.getpid(), read_processes())}
    processes.append(start_ssh(address(fake.path)))

    assert fake.started()[:-1] == ["--", "h"]
    pid = int((tmp_path / "pid").read_text())
    assert pid not in read_processes()
    new = [
        process.pid
        for process in find_descendants(os.getpid(), read_processes())
        if process.pid not in before
    ]
    names = [Path(f"/proc/{each}/comm").read_text() for each in new]
    assert "sleep\n" not in names


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        (60.0, ALIVE),
        (100.0, ["-o", "ServerAliveInterval=25"]),
        (1.0, ["-o", "ServerAliveInterval=1", "-o", "ServerAliveCountMax=1"]),
        (5.0, ["-o", "ServerAliveInterval=1", "-o", "ServerAliveCountMax=4"]),
        (None, []),
    ],
)
def test_limit_on_dead_connections(
    fake: FakeSsh, processes: list[SshProcess], limit: float | None, expected: list[str]
) -> None:
    """Ssh is to find a dead connection within the time after which the client gives a silent host up."""
    fake.configure(NONE)
    processes.append(start_ssh(address(fake.path, keep_alive=KeepAliveOptions(10.0, limit))))

    assert fake.started()[:-1] == [*expected, "--", "h"]


@pytest.mark.skipif(shutil.which("ssh") is None, reason="there is no ssh here")
@pytest.mark.parametrize(
    ("config", "extra", "expected"),
    [
        ("", (), ALIVE),
        ("Host *\n  ServerAliveInterval 7\n", (), []),
        ("Host other\n  ServerAliveInterval 7\n", (), ALIVE),
        ("Host h\n  ServerAliveInterval 7\n", (), []),
        ("", ("-o", "ServerAliveInterval=7"), []),
        ("", ("-o", "Nonsense=7"), []),
    ],
)
def test_server_alive_of_the_real_ssh(
    tmp_path: Path, config: str, extra: tuple[str, ...], expected: list[str]
) -> None:
    """The real ssh knows from its configuration whether dead connections are to be found."""
    path = tmp_path / "config"
    path.write_text(config)

    settings = command_module.read_settings(address(True, extra_args=("-F", str(path), *extra)))
    assert command_module._choose_options(settings, 60.0) == ([], expected)


@pytest.mark.skipif(shutil.which("ssh") is None, reason="there is no ssh here")
@pytest.mark.parametrize(("port", "expected"), [(None, "2200"), (22, "22"), (2222, "2222")])
def test_port_of_the_config(tmp_path: Path, port: int | None, expected: str) -> None:
    """The real ssh takes the port from its configuration unless one was given."""
    path = tmp_path / "config"
    path.write_text("Host h\n  Port 2200\n  User somebody\n  HostName 192.0.2.1\n")
    program, *arguments = command_module._build_arguments(
        address(True, port=port, extra_args=("-F", str(path)))
    )
    asked = subprocess.run([program, "-G", *arguments, "--", "h"], capture_output=True, text=True, check=True)
    settings = dict(line.split(" ", 1) for line in asked.stdout.splitlines())

    assert (settings["port"], settings["user"], settings["hostname"]) == (expected, "somebody", "192.0.2.1")


@pytest.mark.parametrize("host", ["-oProxyCommand=touch {0}", "-V", "--", ""])
def test_host_is_no_option(fake: FakeSsh, processes: list[SshProcess], tmp_path: Path, host: str) -> None:
    """What stands behind the double dash is a host, whatever it looks like."""
    processes.append(start_ssh(address(fake.path, host=host)))

    assert fake.started()[-3:-1] == ["--", host]


def test_path_of_ssh(fake: FakeSsh, processes: list[SshProcess], monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a path the first ssh of PATH is used."""
    monkeypatch.setenv("PATH", f"{Path(fake.path).parent}:{os.environ['PATH']}")
    processes.append(start_ssh(address(True)))

    assert fake.started()[-2] == "h"


@pytest.mark.parametrize(
    ("ssh", "way"),
    [("/no/such/ssh", "SSH"), ("no-such-ssh", "no-such-ssh"), ("/", "/"), ("/etc/passwd", "passwd")],
)
def test_no_ssh(ssh: str, way: str) -> None:
    """A program that does not exist or cannot be run is named, and the error says what to do."""
    with pytest.raises(ConnectError) as caught:
        connect(address(ssh))

    assert str(caught.value) == (
        f"cannot connect to h:22 by {way}: there is no program {ssh!r} "
        "(install OpenSSH's client, or name another program with ssh=PATH)"
    )


@pytest.mark.parametrize("options", [{"host": "a\0b"}, {"extra_args": ("-o", "a\0")}, {"user": "x" * 10**7}])
def test_arguments_that_no_program_can_have(fake: FakeSsh, options: dict[str, Any]) -> None:
    """Arguments that cannot be passed are an error like any other, and nothing is left behind."""
    before = sorted(os.listdir("/proc/self/fd"))
    with pytest.raises(ConnectError, match=r"^cannot connect to .*by SSH: "):
        connect(address(fake.path, **options))

    assert sorted(os.listdir("/proc/self/fd")) == before


def test_interrupts_are_ignored(fake: FakeSsh, processes: list[SshProcess]) -> None:
    """The process stays in the master's process group, for the terminal's sake, but an interrupt does not end it."""
    processes.append(start_ssh(address(fake.path)))
    fake.started()
    pid = pid_of(processes[0])

    assert os.getpgid(pid) == os.getpgid(0)
    status = dict(
        line.split(":\t") for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line
    )
    assert int(status["SigIgn"], 16) >> (signal.SIGINT - 1) & 1
