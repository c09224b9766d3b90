"""Many hosts at once: connecting, one bad host among good ones, Ctrl-C, and closing."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import easycluster
from easycluster import ThreadedClient, call_multi
from easycluster.parallel import Hosts, close_all, connect_all
from helpers import leaks
from helpers.servers import Server
from helpers.sshd import Sshd, free_port
from helpers.waiting import PATIENCE

PIDS = "os.getpid"


class Silent:
    """A host that accepts connections and says nothing.

    Attributes:
        name: host and port.
    """

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=50)
        self._socket.settimeout(PATIENCE)
        self._accepted: list[socket.socket] = []
        self.port: int = self._socket.getsockname()[1]
        self.name = f"127.0.0.1:{self.port}"

    def accept(self) -> None:
        """Wait until somebody has connected."""
        self._accepted.append(self._socket.accept()[0])

    def close(self) -> None:
        """End all connections."""
        self._socket.close()
        for each in self._accepted:
            each.close()


@pytest.fixture
def silent() -> Iterator[Silent]:
    """A host that hangs."""
    host = Silent()
    yield host
    host.close()


@pytest.fixture
def busy_sshd(run_mark: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    """An sshd that drops each connection while two others have not logged in."""
    server = Sshd(tmp_path_factory.mktemp("sshd"), {leaks.MARK: run_mark}, max_startups="2:100:2")
    yield server
    server.stop()


def tcp_specs(server: Server, key_file: Path, count: int) -> list[str]:
    """Return different specs of one server."""
    return [
        f"127.0.0.1:{server.port}:kf={key_file}:connect_timeout={100 + number}" for number in range(count)
    ]


def ssh_specs(sshd: Sshd, count: int) -> list[str]:
    """Return different specs of one host."""
    return [f"h{number}:ssh=yes:rpython={sys.executable}:extra=-F {sshd.config}" for number in range(count)]


def test_many_servers(tcp_server: Server, key_file: Path, key: bytes) -> None:
    """The clients come in the order of the specs, with the default key, and are closed by the end of the block."""
    specs = [*tcp_specs(tcp_server, key_file, 6), f"127.0.0.1:{tcp_server.port}"]
    with connect_all(specs, default_key=key, clientclass=ThreadedClient) as hosts:
        clients = list(hosts.values())
        assert list(hosts) == specs
        assert {type(client) for client in clients} == {ThreadedClient}
        assert len(set(call_multi(clients, PIDS))) == 7

    assert not any(client.connected for client in clients)


@pytest.mark.needs_sshd
def test_dropped_connections_are_tried_again(busy_sshd: Sshd) -> None:
    """Connections that an SSH server drops because too many are logging in are made in the end."""
    with connect_all(ssh_specs(busy_sshd, 6)) as hosts:
        assert hosts.errors == {}
        assert len(set(call_multi(hosts.values(), PIDS))) == 6


@pytest.mark.needs_sshd
def test_bad_hosts(tcp_server: Server, key_file: Path, sshd: Sshd, silent: Silent) -> None:
    """A host that is down, one that hangs, a wrong key and a wrong spec are errors, and the others are connected
    meanwhile."""
    down = f"127.0.0.1:{free_port()}:key=x"
    hangs, hangs_by_ssh = f"{silent.name}:key=x", f"you@{silent.name}"
    wrong_key, wrong_spec = f"127.0.0.1:{tcp_server.port}:key=wrong", "lab1:nope=1"
    good = [*tcp_specs(tcp_server, key_file, 3), *ssh_specs(sshd, 2)]
    connected = threading.Semaphore(0)

    class Counted(easycluster.Client):
        """Tells when it is connected."""

        def connect(self, *arguments: Any, **more: Any) -> None:
            super().connect(*arguments, **more)
            connected.release()

    def end_hanging_when_others_are_connected() -> None:
        for _ in good:
            connected.acquire(timeout=PATIENCE)
        for _ in range(2):
            silent.accept()
        silent.close()

    thread = threading.Thread(target=end_hanging_when_others_are_connected)
    thread.start()
    bad = [down, hangs, hangs_by_ssh, wrong_key, wrong_spec]
    with connect_all([*bad, *good], clientclass=Counted) as hosts:
        thread.join()
        assert list(hosts) == good
        assert list(hosts.errors) == bad
        assert "refused" in str(hosts.errors[down])
        assert isinstance(hosts.errors[wrong_key], easycluster.AuthenticationError)
        assert isinstance(hosts.errors[wrong_spec], easycluster.SpecError)


def test_limit_for_all(silent: Silent) -> None:
    """A limit ends what hangs, also over ssh; the errors name host and limit."""
    specs = [f"{silent.name}:key=x", f"you@{silent.name}"]
    hosts = connect_all(specs, timeout=0.5)

    assert hosts == {}
    assert all(
        silent.name in str(error) and "no answer within 0.5 seconds" in str(error)
        for error in hosts.errors.values()
    )
    assert len(hosts.errors) == 2


def test_definitions_that_hang(tcp_server: Server, key_file: Path) -> None:
    """The limit holds for definitions, too, which are sent before a client is ready."""
    easycluster.define_common("import time\ntime.sleep(1000)", local=False)
    hosts = connect_all(tcp_specs(tcp_server, key_file, 2), timeout=0.5)

    assert len(hosts.errors) == 2


@pytest.mark.needs_sshd
def test_interrupt(tcp_server: Server, key_file: Path, sshd: Sshd, silent: Silent) -> None:
    """Ctrl-C ends everything, hosts that are connected and those that hang, and nothing is left."""

    def interrupt_when_hanging() -> None:
        for _ in range(2):
            silent.accept()
        os.kill(os.getpid(), signal.SIGINT)

    specs = [
        *tcp_specs(tcp_server, key_file, 3),
        *ssh_specs(sshd, 2),
        f"{silent.name}:key=x",
        f"you@{silent.name}",
    ]
    thread = threading.Thread(target=interrupt_when_hanging)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        connect_all(specs)
    thread.join()


def test_close_all(spawn: Any) -> None:
    """Many clients are closed at once, some of them with calls under way."""
    clients = [spawn() for _ in range(40)]
    pending = [client.time.sleep(1000, nonblocking=True) for client in clients[:3]]
    close_all(clients, "that is all")

    assert not any(client.connected for client in clients)
    for response in pending:
        with pytest.raises(easycluster.ConnectionLost, match="that is all"):
            response.wait()


def test_hosts_without_clients() -> None:
    """An empty result can be closed, too."""
    with connect_all([]) as hosts:
        assert isinstance(hosts, Hosts)


#: An ssh that ends only when three of them have come to their end.
ENDING_TOGETHER = """#!/bin/sh
{ssh} "$@"
touch {folder}/ended.$$
while [ $(ls {folder} | grep -c ended) -lt 3 ]; do sleep 0.02; done
touch {folder}/together.$$
"""

MASTER = """
import sys
from easycluster.parallel import connect_all

hosts = connect_all(sys.argv[1:])
print(hosts)
"""


@pytest.mark.needs_sshd
def test_end_of_the_interpreter(sshd: Sshd, tmp_path: Path) -> None:
    """The connections of a script that ends without closing them end at the same time."""
    program = tmp_path / "slow-ssh"
    program.write_text(ENDING_TOGETHER.format(ssh=shutil.which("ssh"), folder=tmp_path))
    program.chmod(0o755)
    specs = [spec.replace("ssh=yes", f"ssh={program}") for spec in ssh_specs(sshd, 3)]
    result = subprocess.run(
        [sys.executable, "-c", MASTER, *specs],
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE,
        check=False,
    )

    assert (result.stdout, result.stderr) == ("<Hosts: 3 connected, 0 failed>\n", "")
    assert len(list(tmp_path.glob("together.*"))) == 3
