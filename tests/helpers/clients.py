"""Clients over each transport, and local ones, for the integration tests. A pytest plugin.

How the server of a ``transport`` is reached, and what a test may leave behind, ``no_leaks``, the folder of the tests
says; where the tests run on Windows, `helpers.windows_master` does.
"""

from __future__ import annotations

import linecache
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import easycluster
from easycluster_client import Client
from easycluster_protocol._definitions import modules, names
from helpers import server_objects
from helpers.remote_tasks import DEFINITIONS, Tasks
from helpers.states import registrations_restored

if TYPE_CHECKING:
    from helpers.servers import Server

Connect = Callable[..., Any]


@pytest.fixture(autouse=True)
def no_definitions() -> Iterator[None]:
    """Definitions, and whom it serves, belong to the process; each test begins without either."""
    _forget_definitions()
    yield
    _forget_definitions()


def _forget_definitions() -> None:
    names.server_names = None
    for block in modules.defined_blocks:
        linecache.cache.pop(modules.get_filename(block), None)
    modules.defined_blocks.clear()
    for name, module in list(sys.modules.items()):
        if isinstance(module, modules.DefinitionsModule):
            del sys.modules[name]
    vars(easycluster).pop("remote_code", None)


class Transport:
    """A way to connect.

    Args:
        name: "local", "tcp", "ssh" or "wine".
        make: makes a connected client of a class, with further arguments of that class.
        clientclass: the class of clients unless a test names another.
        server: the standalone server, if it is one.
    """

    def __init__(
        self, name: str, make: Connect, clientclass: Any = Client, server: Server | None = None
    ) -> None:
        self.name = name
        self.server = server
        self.clientclass = clientclass
        self._make = make

    def connect(self, clientclass: Any = None, **options: Any) -> Any:
        """Return a new connected client, made with ``options``."""
        return self._make(clientclass or self.clientclass, **options)


@pytest.fixture
def task_definitions(no_definitions: None) -> None:
    """The functions of `helpers.remote_tasks` are defined on clients that are made from now on."""
    easycluster.define_common(DEFINITIONS)


@pytest.fixture
def object_definitions(no_definitions: None) -> Iterator[None]:
    """The classes of `helpers.server_objects` are defined on clients that are made from now on; what definitions
    register here, too, is forgotten after the test."""
    with registrations_restored():
        easycluster.define_common(server_objects.DEFINITIONS)
        yield


@pytest.fixture
def tasks(tmp_path: Path) -> Tasks:
    """Calls whose end the test decides."""
    return Tasks(tmp_path)


@pytest.fixture
def connect(transport: Transport, no_leaks: None) -> Iterator[Connect]:
    """Makes connected clients, which are closed after the test."""
    clients: list[Any] = []

    def connect(clientclass: Any = None, **options: Any) -> Any:
        client = transport.connect(clientclass, **options)
        clients.append(client)
        return client

    yield connect
    for client in clients:
        client.close()


@pytest.fixture
def client(connect: Connect) -> Any:
    """A connected client."""
    return connect()


@pytest.fixture
def spawn(no_leaks: None) -> Iterator[Connect]:
    """Makes clients of local servers, for what is the same over every transport."""
    clients: list[Any] = []

    def spawn(clientclass: Any = Client) -> Any:
        client = easycluster.server.spawn_local(clientclass)
        clients.append(client)
        return client

    yield spawn
    for client in clients:
        client.close()


@pytest.fixture
def local(spawn: Connect) -> Any:
    """A client of a local server, for what is the same over every transport."""
    return spawn()


@pytest.fixture
def far(client: Any, request: pytest.FixtureRequest) -> Any:
    """A client that has the definitions of the test's module too, `MORE`."""
    return _with_more(client, request)


@pytest.fixture
def near(local: Any, request: pytest.FixtureRequest) -> Any:
    """The same, of a local server."""
    return _with_more(local, request)


def _with_more(client: Any, request: pytest.FixtureRequest) -> Any:
    easycluster.define_common(request.module.MORE)
    client.update_definitions()
    return client
