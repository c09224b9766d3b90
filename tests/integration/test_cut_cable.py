"""The cable between master and host is pulled: both ends notice, whatever they are doing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from easycluster import ConnectionLost, ThreadedClient
from easycluster_client import Client
from easycluster_server._system.posix.proc import read_process
from helpers.cables import Cable
from helpers.servers import COMMAND, Server
from helpers.waiting import wait_until

pytestmark = [pytest.mark.needs_netns, pytest.mark.xdist_group("cable")]

KINDS = pytest.mark.parametrize("kind", [Client, ThreadedClient])


@pytest.fixture
def cable() -> Iterator[Cable]:
    """A cable to another machine."""
    cable = Cable(0)
    yield cable
    cable.remove()


@pytest.fixture
def connect(
    cable: Cable, start_server: Callable[..., Server], key: bytes, no_leaks: None
) -> Iterator[Callable[..., Any]]:
    """Makes clients of a server at the other end."""
    server = start_server("-b", cable.address, command=(*cable.command, COMMAND))
    clients: list[Client] = []

    def connect(kind: type[Client]) -> Any:
        client = kind(key, cable.address, server.port, keep_alive_interval=0.4, keep_alive_timeout=2)
        clients.append(client)
        return client

    yield connect
    for client in clients:
        client.close()


def has_ended(pid: int) -> bool:
    """Whether a process of the host is gone."""
    process = read_process(pid)
    return process is None or process.state == "Z"


@KINDS
def test_lost_host(connect: Callable[..., Any], cable: Cable, kind: type[Client]) -> None:
    """A call that waits ends with what was seen, and the host ends the session by itself."""
    client = connect(kind)
    pid = client.os.getpid()
    waiting = client.time.sleep(1000, nonblocking=True)
    cable.pull()

    with pytest.raises(ConnectionLost, match="^Remote server not responding .*: its host "):
        waiting.wait()
    wait_until(lambda: has_ended(pid))


@KINDS
def test_lost_host_that_is_sent_much(connect: Callable[..., Any], cable: Cable, kind: type[Client]) -> None:
    """A call that is being sent ends in the same way."""
    client = connect(kind)
    waiting = client.time.sleep(1, nonblocking=True)
    cable.pull()

    with pytest.raises(ConnectionLost, match="^Remote server not responding .*: its host "):
        client.len(bytes(50_000_000))
    with pytest.raises(ConnectionLost):
        waiting.wait()


def test_vanished_client(connect: Callable[..., Any], cable: Cable) -> None:
    """The host ends the session of a client that has vanished, also where that was idle or is owed answers."""
    idle, owed = connect(Client), connect(Client)
    pids = [client.os.getpid() for client in (idle, owed)]
    owed.bytes(300_000_000, nonblocking=True)
    cable.pull()

    wait_until(lambda: all(map(has_ended, pids)))
