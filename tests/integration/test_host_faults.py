"""Faults of hosts and of the network between: each caller learns of them in time, and other hosts do not notice.

The hosts are real ones, in namespaces: `testbed.hosts`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from easycluster import ConnectError, ConnectionLost, ThreadedClient, call_multi
from easycluster.parallel import connect_all
from easycluster_protocol.keys import read_key_file
from helpers.waiting import PATIENCE, wait_until
from testbed.hosts import PORT, Host

pytestmark = [pytest.mark.needs_hosts, pytest.mark.needs_sshd]

#: Seconds of silence after which a server is asked for a sign of life, and after which it is given up.
LIVELY = {"keep_alive_interval": 0.2, "keep_alive_timeout": 1}
#: Seconds in which callers have to learn that a host is silent; the machine may be busy.
IN_TIME = 10.0
WAYS = ["tcp", "ssh"]
#: Starts a process that ends with its connection.
LEFT = "__import__('subprocess').Popen(['sleep', '4321'], start_new_session=True).pid"

Connect = Callable[..., Any]


class Way:
    """A way to connect to hosts.

    Args:
        name: "tcp" or "ssh".
        key_file: of their standalone servers.
    """

    def __init__(self, name: str, key_file: Path) -> None:
        self.name = name
        self._key_file = key_file

    def make(self, host: Host, **options: Any) -> ThreadedClient:
        """Return a connected client."""
        if self.name == "tcp":
            return ThreadedClient(read_key_file(self._key_file), host.address, PORT, **options)
        ssh: dict[str, Any] = {"ssh": True, "rpython": sys.executable, "extra_args": host.ssh_options}
        return ThreadedClient(host="h", **ssh, **options)


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest, key_file: Path) -> Way:
    """Each way in turn."""
    return Way(request.param, key_file)


@pytest.fixture
def host(no_leaks: None, key_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A host to which something will happen."""
    with Host(tmp_path_factory.mktemp("host")) as host:
        host.serve(key_file)
        yield host


@pytest.fixture
def other(no_leaks: None, key_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A host to which nothing happens."""
    with Host(tmp_path_factory.mktemp("other")) as host:
        host.serve(key_file)
        yield host


@pytest.fixture
def link(way: Way, no_leaks: None, host: Host, other: Host) -> Iterator[Connect]:
    """Makes clients of a host in that way, which are closed after the test."""
    clients: list[ThreadedClient] = []

    def link(host: Host, **options: Any) -> ThreadedClient:
        client = way.make(host, **options)
        clients.append(client)
        return client

    yield link
    for client in clients:
        client.close()


def cut_to_the_host(host: Host) -> None:
    """Nothing arrives at the host any more."""
    host.cut(back=False)


def cut_from_the_host(host: Host) -> None:
    """Nothing arrives from the host any more."""
    host.cut(there=False)


def mend(host: Host) -> None:
    """The cable is in order again, and everything runs on."""
    host.heal()
    host.thaw()


@pytest.mark.parametrize(
    "fault", [Host.cut, cut_to_the_host, cut_from_the_host, Host.freeze, Host.crash], ids=lambda f: f.__name__
)
def test_silent_host(link: Connect, host: Host, other: Host, fault: Callable[[Host], None]) -> None:
    """Every call that waits for a host that has become silent raises in time, those of another host go on meanwhile;
    when the host is there again, nothing of the connection is left there."""
    client, well = link(host, **LIVELY), link(other, **LIVELY)
    waiting = [client.eval("__import__('time').sleep(1000)", nonblocking=True, threadid=n) for n in (1, 2)]
    client.eval(LEFT)
    began = time.monotonic()
    fault(host)
    answered = 0
    while client.connected:
        assert well.eval("2 + 3") == 5
        answered += 1
        assert time.monotonic() - began < IN_TIME
    for response in waiting:
        with pytest.raises(ConnectionLost, match="^Remote server not responding"):
            response.wait()
    with pytest.raises(ConnectionLost):
        client.eval("1 + 1")
    assert answered
    if fault is not Host.crash:
        mend(host)
        wait_until(lambda: "sleep 4321" not in host.processes().values(), what="the end of what it started")


def test_host_that_goes_on_in_time(link: Connect, host: Host, other: Host) -> None:
    """A call outlives that its host stands still, or cannot be reached, for less than the limit."""
    client = link(host, keep_alive_interval=0.2, keep_alive_timeout=PATIENCE)
    for fault in (Host.freeze, Host.cut):
        fault(host)
        response = client.eval("6 * 7", nonblocking=True)
        mend(host)
        assert response.wait() == 42


def test_reboot(link: Connect, host: Host, other: Host, way: Way, key_file: Path) -> None:
    """When a host has booted again, calls that wait raise, and the client connects again."""
    client = link(host, **LIVELY)
    response = client.eval("__import__('time').sleep(1000)", nonblocking=True)
    host.crash()
    host.boot()
    with pytest.raises(ConnectionLost):
        response.wait()
    host.serve(key_file)
    client.reconnect()
    assert client.eval("1 + 1") == 2


def test_refused(link: Connect, way: Way, host: Host, other: Host, key_file: Path) -> None:
    """When what listens has been killed, new connections are refused at once, until it listens again; sessions of an
    sshd go on, those of a standalone server end with it."""
    client = link(host, **LIVELY)
    host.refuse()
    if way.name == "ssh":
        assert client.eval("1 + 1") == 2
    else:
        with pytest.raises(ConnectionLost):
            client.eval("__import__('time').sleep(1000)")
    began = time.monotonic()
    with pytest.raises(ConnectError, match="refused"):
        link(host)
    assert time.monotonic() - began < IN_TIME
    host.accept()
    host.serve(key_file)
    assert link(host).eval("1 + 2") == 3


@pytest.mark.parametrize(
    ("set_fault", "value"),
    [(Host.lose, 0.02), (Host.delay, 0.02), (Host.delay, 0.125), (Host.limit, 1e6)],
    ids=["loss", "40 ms", "250 ms", "1 Mbit"],
)
def test_bad_network(
    link: Connect, host: Host, other: Host, set_fault: Callable[[Host, float], None], value: float
) -> None:
    """Over a network that loses packets, or is slow, everything arrives, and nothing is called lost."""
    client = link(host)
    set_fault(host, value)
    data = bytes(range(256)) * 200
    for number in range(10):
        assert client.eval(f"{number} + 1") == number + 1
    responses = [client.eval(f"{number} * 2", nonblocking=True) for number in range(50)]
    assert [response.wait() for response in responses] == [number * 2 for number in range(50)]
    assert client.bytes(data) == data


def test_hundred_hosts(no_leaks: None, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Of a hundred hosts that are connected at once, all the good ones are there, though their sshd drops connections;
    those that are dead are errors."""
    folders = [tmp_path_factory.mktemp(name) for name in ("dead", "slow", "good")]
    with (
        Host(folders[0]) as dead,
        Host(folders[1]) as slow,
        Host(folders[2], max_startups="10:30:100") as good,
    ):
        dead.cut()
        slow.delay(0.125)
        config = folders[0] / "all"
        patterns = {"dead*": dead, "slow*": slow, "good*": good}
        config.write_text(
            "".join(each.ssh_config.replace("Host *", f"Host {name}") for name, each in patterns.items())
        )
        counts = {"dead": 5, "slow": 5, "good": 90}
        names = {name: [f"{name}{n}" for n in range(count)] for name, count in counts.items()}
        options = f"ssh=yes:rpython={sys.executable}:extra=-F {config}"
        specs = {
            name: f"{name}:{options}:connect_timeout={3 if kind == 'dead' else 60}"
            for kind, each in names.items()
            for name in each
        }
        with connect_all(specs.values()) as hosts:
            assert list(hosts.errors) == [specs[name] for name in names["dead"]]
            assert {type(error) for error in hosts.errors.values()} == {ConnectError}
            assert len(call_multi(hosts.values(), "os.getpid")) == 95
