"""Connections that are encrypted, with a server or a master on Windows, under wine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import easycluster
from easycluster_client import Client, ThreadedClient
from easycluster_protocol.errors import ConnectError
from helpers import tls_masters, wine
from helpers.certificates import Authority
from helpers.pythons import find_pythons
from helpers.servers import Server
from helpers.tls_masters import SOURCES, VERSION, run_new
from helpers.waiting import wait_until
from helpers.windows_server import WindowsServer

pytestmark = [
    pytest.mark.needs_wine,
    pytest.mark.usefixtures("windows"),
    # The first test that needs a Windows Python installs the packages there.
    pytest.mark.timeout(400),
]

needs_new = pytest.mark.needs_pythons(f"python{VERSION}")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The CA."""
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module", params=[wine.OLDEST, wine.USUAL])
def server(
    windows: None,
    key_file: Path,
    authority: Authority,
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> Iterator[WindowsServer]:
    """A server on Windows that takes only encrypted connections, with a certificate for its address."""
    certificate = wine.windows_path(authority.sign("127.0.0.1"))
    options = ("--tls", "require", "--tls-cert", certificate)
    server = WindowsServer(tmp_path_factory.mktemp("server"), key_file, *options, version=request.param)
    yield server
    server.stop()


def run_on_windows(version: str, *arguments: object) -> str:
    """Run a master on Windows; see `helpers.tls_masters`."""
    python = wine.WindowsPython(version)
    command = python.python("-m", "helpers.tls_masters", *arguments)
    return wine.run(command, PYTHONPATH=wine.windows_path(wine.ROOT / "tests"), PYTHONDONTWRITEBYTECODE="1")


@pytest.mark.parametrize("kind", [Client, ThreadedClient])
def test_certificate(server: WindowsServer, key_file: Path, authority: Authority, kind: Any) -> None:
    """A server on Windows encrypts by its certificate, for clients that know its CA."""
    with kind.from_spec(f"127.0.0.1:{server.port}:kf={key_file}:tls_ca={authority.file}") as client:
        assert easycluster.security(client).encrypted
        tls_masters.make_calls(client)
    assert "refused" not in server.log


def test_other_authority(server: WindowsServer, key_file: Path, tmp_path: Path) -> None:
    """A client that knows another CA refuses the server's certificate."""
    other = Authority(tmp_path)
    with pytest.raises(ConnectError, match="certificate"):
        Client.from_spec(f"127.0.0.1:{server.port}:kf={key_file}:tls_ca={other.file}")


def test_not_encrypted(server: WindowsServer, key_file: Path) -> None:
    """A client that wants no encryption is refused, in words."""
    with pytest.raises(ConnectError, match="require"):
        Client.from_spec(f"127.0.0.1:{server.port}:kf={key_file}:tls=off")


def test_end_in_a_call(server: WindowsServer, key_file: Path, authority: Authority, tmp_path: Path) -> None:
    """The end of an encrypted connection interrupts a call, and nothing is left of it."""
    begun = tmp_path / "begun"
    client = Client.from_spec(f"127.0.0.1:{server.port}:kf={key_file}:tls_ca={authority.file}")
    path = wine.windows_path(begun)
    wait = f"import os, time\nopen({path!r}, 'w').close()\ntry: time.sleep(600)\nfinally: os.remove({path!r})"
    client.execblock(wait, nonblocking=True)
    wait_until(begun.exists)
    client.close()
    wait_until(lambda: not begun.exists())
    wait_until(lambda: len(server.list_workers()) == 1, what="the end of all but the spare")


def test_certificate_from_windows(
    start_server: Callable[..., Server], key_file: Path, authority: Authority
) -> None:
    """A master on Windows verifies a server's certificate; the files that it names have drive letters."""
    server = start_server("--tls-cert", authority.sign("127.0.0.1"))
    spec = f"kf={wine.windows_path(key_file)}:tls_ca={wine.windows_path(authority.file)}"
    assert run_on_windows(wine.USUAL, "use_certificate", server.port, spec).endswith("done\n")


@needs_new
def test_shared_key(key_file: Path, tmp_path: Path) -> None:
    """A server on Windows with Python 3.13 encrypts by the key file alone."""
    server = WindowsServer(tmp_path, key_file, version=wine.NEWEST)
    try:
        assert run_new("use_key", server.port, f"kf={key_file}") == "done\n"
        assert "refused" not in server.log
    finally:
        server.stop()


@needs_new
def test_shared_key_from_windows(start_server: Callable[..., Server], key_file: Path) -> None:
    """So does a master there."""
    command = (find_pythons()[VERSION], "-m", "easycluster")
    server = start_server(command=command, env={"PYTHONPATH": SOURCES})
    spec = f"kf={wine.windows_path(key_file)}"
    assert run_on_windows(wine.NEWEST, "use_key", server.port, spec).endswith("done\n")
