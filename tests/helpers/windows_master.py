"""Integration tests on Windows: the master is this process, the server is on another system. A pytest plugin.

`test_cases_from_windows` starts pytest with it, in the place of the ``conftest.py`` of the tests.
"""

from __future__ import annotations

import os
import pathlib
import tempfile
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from easycluster_client import Client, ThreadedClient
from easycluster_protocol.keys import read_key_file
from helpers.clients import Transport
from helpers.waiting import wait_until
from helpers.windows_cases import runs_from_windows

#: The variables that name the server: its port of 127.0.0.1, its key file and its log.
PORT = "EASYCLUSTER_TEST_SERVER_PORT"
KEY_FILE = "EASYCLUSTER_TEST_SERVER_KEY_FILE"
LOG = "EASYCLUSTER_TEST_SERVER_LOG"


class SharedPath(pathlib.WindowsPath):
    """A path that both systems understand: without a drive, and with slashes."""

    def __str__(self) -> str:
        return super().__str__().replace("\\", "/")


def pytest_configure(config: pytest.Config) -> None:
    """Know the markers of plugins that are not installed here."""
    for marker in ("timeout(seconds)", "xdist_group(name)"):
        config.addinivalue_line("markers", f"{marker}: has no meaning here")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Know the settings of pytest-timeout, which is not installed here; `helpers.time_limits` reads one of them."""
    parser.addini("timeout", "seconds for one test")
    parser.addini("timeout_method", "has no meaning here")
    parser.addoption("--timeout", type=float)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Let tests run with Clients, those of chosen modules with ThreadedClients, too."""
    marks = metafunc.definition.iter_markers("parametrize")
    if "transport" in metafunc.fixturenames and not any("transport" in mark.args[0] for mark in marks):
        further = ["threaded"] if getattr(metafunc.module, "THREADED_TOO", False) else []
        metafunc.parametrize("transport", ["tcp", *further], indirect=True, scope="session")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave what does not run from Windows, or has no transport."""
    chosen = [item for item in items if _is_chosen(item)]
    config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
    items[:] = chosen


def _is_chosen(item: Any) -> bool:
    module = item.module.__name__.rpartition(".")[2]
    return (
        "transport" in item.fixturenames
        and item.callspec.params["transport"] in {"tcp", "threaded"}
        and runs_from_windows(module, item.function.__name__)
    )


@pytest.fixture(scope="session")
def key() -> bytes:
    """The key of ``tcp_server``."""
    return read_key_file(os.environ[KEY_FILE])


@pytest.fixture(scope="session")
def key_file() -> SharedPath:
    """The key file of ``tcp_server``."""
    return SharedPath(os.environ[KEY_FILE])


class FarServer:
    """What there is here of the server.

    Attributes:
        port: its TCP port.
    """

    def __init__(self) -> None:
        self.port = int(os.environ[PORT])

    @property
    def log(self) -> str:
        """What it and its workers have printed so far."""
        return pathlib.Path(os.environ[LOG]).read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def tcp_server() -> Any:
    """The server."""
    return FarServer()


@pytest.fixture(scope="session")
def transport(request: pytest.FixtureRequest, tcp_server: Any, key: bytes) -> Transport:
    """TCP, with one kind of clients or the other."""
    clientclass = ThreadedClient if request.param == "threaded" else Client
    return Transport(
        "tcp",
        lambda kind, **options: kind(key, "127.0.0.1", tcp_server.port, **options),
        clientclass,
        tcp_server,
    )


@pytest.fixture
def tmp_path() -> Iterator[SharedPath]:
    """A folder that the server finds under the same name."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        yield SharedPath(os.path.splitdrive(folder)[1])


@pytest.fixture(autouse=True)
def no_leaks() -> Iterator[None]:
    """Threads are the same before and after each test."""
    before = set(threading.enumerate())
    yield
    wait_until(lambda: set(threading.enumerate()) <= before, what="the end of the threads of the test")
