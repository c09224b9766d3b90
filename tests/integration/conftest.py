"""Clients over every transport, servers and an sshd of our own, and the proof that nothing is left.

- ``client``, ``connect``, ``spawn``, ``local``, ``tasks`` and the like: see `helpers.clients`.
- ``transport``: which of them it is: ``transport.name``; "wine" is a server on Windows, see `helpers.windows_cases`.
  A module with ``THREADED_TOO = True`` runs once more with ThreadedClients, over TCP; one with ``UPGRADED_TOO = True``
  once more over TCP, with a server of another version, ``old_server``; one with ``TLS_TOO = True`` once more over TCP
  within TLS, ``tls_server``.
- ``tcp_server``, ``sshd``: one of each for the run. ``start_server``: servers for one test.
- ``windows``: for the run, Windows programs can be started: `helpers.wine`.
- ``key_file``, ``key``: what ``tcp_server`` serves with.
- ``documented_server``: the server of the documentation's examples, and a folder with its key to be in.
  ``session``: an interactive session in which they are typed.
  ``documented_ssh``: an ``ssh`` first in PATH for which every host is ``sshd``.

Every test starts without definitions and has to leave nothing behind, see `helpers.leaks`.
"""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import easycluster
from easycluster_client import Client, ThreadedClient
from easycluster_protocol.keys import read_key_file
from easycluster_server._spawn import worker_starter
from helpers import documented, leaks, wine
from helpers.certificates import Authority
from helpers.clients import Transport
from helpers.other_versions import how_to_start, make_server_packages
from helpers.servers import Server, generate_key_file
from helpers.sshd import Sshd
from helpers.windows_cases import runs_from_windows, runs_on_windows
from helpers.windows_server import WindowsServer


def pytest_itemcollected(item: pytest.Item) -> None:
    """Everything in this folder starts real processes."""
    item.add_marker(pytest.mark.integration)


@pytest.fixture(scope="session")
def run_mark() -> Iterator[str]:
    """The mark by which the processes of this run are found; what is long-lived by design runs."""
    mark = uuid.uuid4().hex
    os.environ[leaks.MARK] = mark
    with easycluster.server.spawn_local() as client:
        client.eval("None")  # starts the fork server
    yield mark
    worker_starter.close()
    del os.environ[leaks.MARK]


@pytest.fixture(scope="session")
def key_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The key file of ``tcp_server``."""
    return generate_key_file(tmp_path_factory.mktemp("key") / "secret.key")


@pytest.fixture(scope="session")
def key(key_file: Path) -> bytes:
    """The key of ``tcp_server``."""
    return read_key_file(key_file)


@pytest.fixture(scope="session")
def tcp_server(run_mark: str, key_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A standalone server on 127.0.0.1."""
    server = Server(tmp_path_factory.mktemp("server"), "-k", key_file)
    with Client(read_key_file(key_file), "127.0.0.1", server.port) as client:
        client.eval("None")  # its fork server has started once a call was answered, and stays
    yield server
    assert server.stop() == 0


@pytest.fixture(scope="session")
def old_server(run_mark: str, key_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A standalone server of another version, which cannot make calls by itself."""
    packages = make_server_packages(tmp_path_factory.mktemp("packages"))
    how: Any = how_to_start(sys.executable, packages)
    server = Server(tmp_path_factory.mktemp("server"), "-k", key_file, **how)
    with Client(read_key_file(key_file), "127.0.0.1", server.port) as client:
        client.eval("None")
    yield server
    assert server.stop() == 0


@pytest.fixture(scope="session")
def tls_server(run_mark: str, key_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A standalone server with a certificate, which serves within TLS only."""
    authority = Authority(tmp_path_factory.mktemp("authority"))
    options = ("--tls", "require", "--tls-cert", authority.sign("127.0.0.1"))
    server = Server(tmp_path_factory.mktemp("server"), "-k", key_file, *options)
    with Client(read_key_file(key_file), "127.0.0.1", server.port) as client:
        client.eval("None")
    yield server
    assert server.stop() == 0


@pytest.fixture(scope="session")
def sshd(run_mark: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    """An sshd on 127.0.0.1; ``sshd.options`` are the options with which ssh reaches it."""
    server = Sshd(tmp_path_factory.mktemp("sshd"), {leaks.MARK: run_mark})
    yield server
    server.stop()


@pytest.fixture(scope="session")
def windows(run_mark: str) -> Iterator[None]:
    """Windows programs can be started under wine, see `helpers.wine`."""
    with wine.kept_alive():
        yield


@pytest.fixture(scope="session")
def wine_server(
    windows: None, key_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[WindowsServer]:
    """A standalone server on Windows, under wine."""
    server = WindowsServer(tmp_path_factory.mktemp("wine_server"), key_file, spares=4)
    with Client(read_key_file(key_file), "127.0.0.1", server.port) as client:
        client.eval("None")
    yield server
    server.stop()


def pytest_report_collectionfinish(items: list[pytest.Item]) -> str:
    """Say which share of the cases runs with a server on Windows, and with a master there."""
    cases = [item for item in items if isinstance(item, pytest.Function) and hasattr(item, "callspec")]
    over_tcp = [item for item in cases if "tcp" in item.callspec.id.split("-")]
    on_windows = sum("wine" in item.callspec.id.split("-") for item in cases)
    from_windows = sum(
        runs_from_windows(item.module.__name__.rpartition(".")[2], item.function.__name__)
        for item in over_tcp
    )
    return f"over wine: {on_windows} of {len(over_tcp)} cases; with a master under wine: {from_windows}"


def _connect_local(clientclass: Any, **options: Any) -> Any:
    return easycluster.server.spawn_local(lambda: clientclass(**options))


TRANSPORTS = [
    "local",
    "tcp",
    pytest.param("ssh", marks=pytest.mark.needs_sshd),
]
#: Ways over TCP, and the fixtures of their servers.
_TCP_SERVERS = {
    "tcp": "tcp_server",
    "threaded": "tcp_server",
    "upgraded": "old_server",
    "tls": "tls_server",
    "wine": "wine_server",
}
#: One worker of pytest-xdist runs them all, with one server, whose interpreters ahead are enough for that one.
WINE = pytest.param(
    "wine", marks=[pytest.mark.needs_wine, pytest.mark.xdist_group("wine"), pytest.mark.timeout(400)]
)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Let tests run over each transport, those of chosen modules with ThreadedClients, too."""
    marks = metafunc.definition.iter_markers("parametrize")
    if "transport" in metafunc.fixturenames and not any("transport" in mark.args[0] for mark in marks):
        flags = {"THREADED_TOO": "threaded", "UPGRADED_TOO": "upgraded", "TLS_TOO": "tls"}
        further: list[Any] = [name for flag, name in flags.items() if getattr(metafunc.module, flag, False)]
        if runs_on_windows(metafunc.module.__name__.rpartition(".")[2], metafunc.function.__name__):
            further.append(WINE)
        metafunc.parametrize("transport", [*TRANSPORTS, *further], indirect=True, scope="session")


@pytest.fixture(scope="session")
def transport(request: pytest.FixtureRequest, run_mark: str) -> Transport:
    """Each transport in turn."""
    if request.param == "local":
        return Transport("local", _connect_local)
    if request.param in _TCP_SERVERS:
        server, key = request.getfixturevalue(_TCP_SERVERS[request.param]), request.getfixturevalue("key")
        clientclass = ThreadedClient if request.param == "threaded" else Client
        return Transport(
            "wine" if request.param == "wine" else "tcp",
            lambda kind, **options: kind(key, "127.0.0.1", server.port, **options),
            clientclass,
            server,
        )
    sshd = request.getfixturevalue("sshd")
    arguments = {"host": "h", "ssh": True, "rpython": sys.executable, "extra_args": sshd.options}
    return Transport("ssh", lambda kind, **options: kind(**{**arguments, **options}))


@pytest.fixture(autouse=True)
def no_leaks(run_mark: str) -> Iterator[None]:
    """Threads, processes and descriptors are the same before and after each test."""
    before = leaks.take(run_mark)
    yield
    leaks.assert_none_since(before, run_mark)


@pytest.fixture
def start_server(
    key_file: Path, tmp_path_factory: pytest.TempPathFactory, no_leaks: None
) -> Iterator[Callable[..., Server]]:
    """Starts standalone servers for this test: ``start_server("-c", "QuietServer")``."""
    servers: list[Server] = []

    def start_server(*arguments: object, **how: Any) -> Server:
        if not {"-k", "-K"}.intersection(map(str, arguments)):
            arguments = ("-k", key_file, *arguments)
        server = Server(tmp_path_factory.mktemp("server"), *arguments, **how)
        servers.append(server)
        return server

    yield start_server
    for server in servers:
        server.stop()


@pytest.fixture
def documented_server(
    start_server: Callable[..., Server], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Server:
    """A server to which port 11999 of every host leads that the documentation names; its key is in secret.key."""
    monkeypatch.chdir(tmp_path)
    server = start_server("-k", generate_key_file(Path("secret.key")))
    hosts = ("localhost", "otherhost", "host1", "host2")
    documented.lead(monkeypatch, {(host, documented.PORT): server.port for host in hosts})
    return server


@pytest.fixture
def session(no_leaks: None) -> Iterator[documented.Session]:
    """A session in which the documentation's examples are typed; it ends with the test."""
    session = documented.Session()
    yield session
    session.close()


@pytest.fixture
def documented_ssh(sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Puts an ``ssh`` first in PATH for which every host is this one, whoever logs in; returns its path."""
    return documented.install_ssh(sshd, tmp_path / "bin", monkeypatch)
