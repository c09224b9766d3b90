"""Clients of another version, whose code runs as another user: nothing of that user ends or escapes its guardian."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from easycluster import Client, ConnectionLost, VersionError
from helpers.certificates import Authority
from helpers.masters import identify, lives, parent_of, wait_until_gone
from helpers.other_versions import how_to_start, make_server_packages
from helpers.servers import Server

NOBODY = pwd.getpwnam("nobody").pw_uid

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


@pytest.fixture(scope="module")
def for_everybody() -> Iterator[Path]:
    """A folder with packages of another version that every user can read."""
    folder = make_server_packages(Path(tempfile.mkdtemp(prefix="easycluster-test-")))
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def server(start_server: Callable[..., Server], for_everybody: Path) -> Server:
    """A server of another version whose connections run as nobody."""
    return start_server("--run-as", "nobody", **how_to_start("/usr/bin/python3", for_everybody))


@pytest.fixture
def client(server: Server, key: bytes) -> Iterator[Any]:
    """A client of it."""
    with Client(key, "127.0.0.1", server.port) as client:
        client.execblock("import os, signal, subprocess")
        yield client


def start_daemon(client: Any) -> int:
    """Start a process that leaves its session; return its number."""
    pid: int = client.eval("subprocess.Popen(['sleep', '600'], start_new_session=True).pid")
    return pid


def find_guardians(client: Any) -> tuple[int, int]:
    """Return the inner and the outer guardian of a connection."""
    inner = client.os.getppid()
    return inner, parent_of(parent_of(inner))


def test_users(client: Any) -> None:
    """No code of the client runs as root, not even its guardian; the guardian over that stays root."""
    inner, outer = find_guardians(client)

    assert [os.stat(f"/proc/{pid}").st_uid for pid in (client.os.getpid(), inner, outer)] == [
        NOBODY,
        NOBODY,
        0,
    ]
    with pytest.raises(PermissionError):
        client.eval(f"os.kill({outer}, signal.SIGKILL)")
    with pytest.raises(PermissionError):
        client.eval(f"open('/proc/{outer}/mem', 'rb')")


def test_secrets_of_the_session(client: Any) -> None:
    """The outer guardian holds neither the pipe with the session's keys, nor files beside its own."""
    outer = find_guardians(client)[1]
    links = [os.readlink(each) for each in Path(f"/proc/{outer}/fd").iterdir()]

    assert sum(link.startswith("socket:") for link in links) == 1
    pipes = {link for link in links if link.startswith("pipe:")}
    standard = {os.readlink(f"/proc/{outer}/fd/{number}") for number in (1, 2)}
    assert len(pipes - standard) == 2  # its own: of the control that nobody uses, and of its wake-up


def test_killed_guardian(client: Any) -> None:
    """Code that kills its guardian ends the connection and everything that it has started; the client hears why."""
    processes = identify(start_daemon(client), client.os.getpid(), *find_guardians(client))
    with pytest.raises(ConnectionLost, match="the process there was ended by signal 9"):
        client.eval("os.kill(os.getppid(), signal.SIGKILL) or signal.pause()")

    wait_until_gone(processes)


def test_stopped_guardian(server: Server, key: bytes) -> None:
    """A guardian that was stopped keeps nothing from ending with the client."""
    client: Any = Client(key, "127.0.0.1", server.port)
    client.execblock("import os, signal, subprocess")
    processes = identify(start_daemon(client), client.os.getpid(), *find_guardians(client))
    client.eval("os.kill(os.getppid(), signal.SIGSTOP)")
    client.close()

    wait_until_gone(processes)


def test_end_of_the_server(client: Any, server: Server) -> None:
    """All ends with the server."""
    processes = identify(start_daemon(client), client.os.getpid(), *find_guardians(client))
    server.stop()

    wait_until_gone(processes)


def test_detached_processes_stay(server: Server, key: bytes) -> None:
    """What was given to `detach` outlives connection and server, as with any guardian."""
    client: Any = Client(key, "127.0.0.1", server.port)
    client.execblock("import os, signal, subprocess\nfrom easycluster.server import detach")
    client.execblock("popen = subprocess.Popen(['sleep', '600'], start_new_session=True)\ndetach(popen)")
    guardians = identify(*find_guardians(client))
    (detached,) = identify(client.eval("popen.pid"))
    server.stop()
    wait_until_gone(guardians)

    assert lives(detached)
    os.kill(detached.pid, signal.SIGKILL)


def test_private_key_that_the_user_cannot_read(
    start_server: Callable[..., Server], for_everybody: Path, key_file: Path, tmp_path: Path
) -> None:
    """Code of another version reads the server's private key itself: without that right, the client is refused."""
    certificate = Authority(tmp_path).sign("127.0.0.1")
    certificate.chmod(0o600)
    arguments = ("--run-as", "nobody", "--tls-cert", str(certificate))
    server = start_server(*arguments, **how_to_start("/usr/bin/python3", for_everybody))
    spec = f"127.0.0.1:{server.port}:kf={key_file}"
    with pytest.raises(
        VersionError, match=re.escape(f"its connections run as a user who cannot read '{certificate}'")
    ):
        Client.from_spec(spec)
    with Client.from_spec(f"{spec}:tls=off") as client:
        assert client.eval("2") == 2
