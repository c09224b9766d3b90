"""Servers of another version run the master's code; what differs between the Pythons stays as it is.

Cases that are the same over every transport run over such a server, too, in the modules with ``UPGRADED_TOO``.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import easycluster
from easycluster import Client, ConnectError, ThreadedClient, VersionError
from easycluster_client._connect import upgrade as sending
from easycluster_protocol._constants import VERSION
from easycluster_protocol._handshake import upgrade
from helpers import tls_masters
from helpers.certificates import Authority
from helpers.masters import Master, identify, lives, wait_until_gone
from helpers.other_versions import NEWER, OLDER, PACKAGES, how_to_start, make_server_packages
from helpers.pythons import find_pythons
from helpers.servers import Server
from helpers.waiting import wait_until

Start = Callable[..., Server]

MORE = """
import os, subprocess, sys

class Counter(ServerObject):
    def __init__(self):
        self.count = 0

    def add(self, number):
        self.count += number
        return self.count

def fail(text):
    raise KeyError(text)

def make_counter():
    return Counter()

def lines(count):
    for number in range(count):
        yield number

def own_file():
    return __import__("easycluster").__spec__.origin

def start_daemon():
    popen = subprocess.Popen(["sleep", "600"], start_new_session=True)
    return os.getppid(), os.getpid(), popen.pid

def start_detached():
    from easycluster.server import detach

    popen = subprocess.Popen(["sleep", "600"], start_new_session=True)
    detach(popen)
    return popen.pid
"""

#: What is seen of the process from outside, and by its code.
LOOK = """
import os, sys
def look():
    status = dict(line.split(":", 1) for line in open("/proc/self/status") if line[:3] in ("Sig", "Uma"))
    return {
        "environment": dict(os.environ),
        "folder": os.getcwd(),
        "path": sys.path,
        "arguments": sys.argv,
        "flags": list(sys.flags),
        "bytecode": sys.dont_write_bytecode,
        "umask": status["Umask"],
        "signals": [status["SigBlk"], status["SigIgn"], status["SigCgt"]],
        "limits": open("/proc/self/limits").read(),
        "nice": os.nice(0),
        "input": sys.stdin.read(),
        "main": sorted(name for name in vars(sys.modules["__main__"]) if not name.startswith("__")),
        "hooks": [sys.excepthook is sys.__excepthook__, __import__("gc").isenabled()],
    }
"""


@pytest.fixture(
    params=[
        pytest.param(version, marks=pytest.mark.needs_pythons(f"python{version}"))
        for version in ("3.8", "3.12")
    ]
)
def python(request: pytest.FixtureRequest) -> str:
    """A Python that servers support."""
    return find_pythons()[request.param]


@pytest.fixture(params=[OLDER, NEWER])
def version(request: pytest.FixtureRequest) -> str:
    """The version of the server."""
    return str(request.param)


@pytest.fixture
def start_other(start_server: Start, tmp_path: Path) -> Start:
    """Starts a server of another version: ``start_other(python, version, "-v")``."""

    def start_other(python: str = sys.executable, version: str = OLDER, *arguments: object) -> Server:
        packages = make_server_packages(tmp_path / f"packages-{version}", version)
        return start_server(*arguments, **how_to_start(python, packages))

    return start_other


def test_what_users_do(
    start_other: Start, python: str, version: str, key: bytes, no_definitions: None
) -> None:
    """Calls, exceptions, proxies, generators, definitions, output and late modules work, with the master's code."""
    easycluster.define_common(MORE)
    server = start_other(python, version, "-v")
    with Client(key, "127.0.0.1", server.port) as client:
        client.eval("print('printed', flush=True)")
        counter = client.make_counter()
        counter.add(2)

        assert client.eval("6 * 7") == 42
        assert counter.add(3) == 5
        assert list(client.lines(3)) == [0, 1, 2]
        with pytest.raises(KeyError, match="a text"):
            client.fail("a text")
        assert client.own_file().startswith("easycluster-bundle")
        assert client.server_version == version
        assert bytes(client.eval("bytes(3_000_000)")) == bytes(3_000_000)
    server.wait_for_log("printed")
    log = server.wait_for_log("closed the connection")

    assert f": it runs its own EasyCluster {VERSION}, not {version}\n" in log
    assert re.search(r"\S+ \S+ easycluster: 127\.0\.0\.1:\d+ called make_counter", log)


def test_arrays(start_other: Start, key: bytes) -> None:
    """Arrays go both ways."""
    numpy = pytest.importorskip("numpy")
    server = start_other()
    with Client(key, "127.0.0.1", server.port) as client:
        client.execblock("import numpy\ndef double(array): return array * 2")
        array = numpy.arange(100_000.0)

        assert (client.double(array) == array * 2).all()


def test_every_way_to_connect(start_other: Start, key: bytes, key_file: Path) -> None:
    """`reconnect`, `ThreadedClient`, `connect_all`, a connected socket and compression work as with any server."""
    server = start_other(sys.executable, OLDER, None)
    spec = f"127.0.0.1:{server.port}:kf={key_file}"
    with Client.from_spec(f"{spec}:compress=yes") as client:
        first = client.os.getpid()
        client.reconnect()
        assert client.os.getpid() != first
    with ThreadedClient.from_spec(spec) as threaded:
        assert threaded.eval("[1]") == [1]
    with easycluster.parallel.connect_all([spec, spec.replace("127.0.0.1", "127.0.0.2")]) as group:
        assert len({client.os.getpid() for client in group.values()}) == 2
    connected = Client(key)
    connected.set_socket(socket.create_connection(("127.0.0.1", server.port)))
    with connected:
        assert connected.eval("'a' * 10_000") == "a" * 10_000


def test_the_process_is_as_without_upgrade(
    start_server: Start, start_other: Start, key: bytes, tmp_path: Path
) -> None:
    """Environment, folder, path, umask, limits and signals are those of a worker of the same version."""
    other = start_other()
    # The same packages, of the master's version and complete: whether they differ is asked for each connection.
    packages = tmp_path / f"packages-{OLDER}"
    for name in ("protocol", "server"):
        shutil.copytree(PACKAGES / f"easycluster-{name}" / "src", packages, dirs_exist_ok=True)
    plain = start_server(**how_to_start(sys.executable, packages))
    seen = []
    for server in (other, plain):
        with Client(key, "127.0.0.1", server.port) as client:
            client.execblock(LOOK)
            seen.append(client.look())

    assert seen[0] == seen[1]


def test_killed_master_leaves_nothing(
    start_other: Start, python: str, key_file: Path, tmp_path: Path, no_definitions: None
) -> None:
    """A master that is killed leaves no process, but those that were given to `detach`."""
    server = start_other(python)
    script = """
        define_common(HOW["definitions"])
        client = connect()
        say(pids=client.start_daemon(), detached=client.start_detached())
        hear()
    """
    how = {"name": "tcp", "port": server.port, "key_file": str(key_file), "definitions": MORE}
    with Master(how, script, tmp_path) as master:
        heard = master.hear()
        processes, detached = identify(*heard["pids"]), identify(heard["detached"])
        master.kill()
        wait_until_gone(processes)

    assert lives(detached[0])
    os.kill(heard["detached"], signal.SIGKILL)


def test_stopped_server_leaves_nothing(start_other: Start, key: bytes, no_definitions: None) -> None:
    """With the server end all connections, and what they have started."""
    easycluster.define_common(MORE)
    server = start_other()
    with Client(key, "127.0.0.1", server.port) as client:
        processes = identify(*client.start_daemon())
        server.stop()
        wait_until_gone(processes)


def test_no_upgrade(start_other: Start, key: bytes) -> None:
    """A server with ``--no-upgrade`` says in one line which versions differ and what to do, and the client's error too."""
    server = start_other(sys.executable, OLDER, "--no-upgrade")
    text = (
        f"the client has EasyCluster {VERSION} and the server {OLDER} (it was started with --no-upgrade): install"
        " the same version at both ends"
    )
    with pytest.raises(VersionError, match=re.escape(text)):
        Client(key, "127.0.0.1", server.port)

    log = server.wait_for_log(text)
    assert len(log.splitlines()) == 2, log


def test_no_upgrade_serves_its_own_version(start_server: Start, key: bytes) -> None:
    """Masters of the same version notice nothing of it."""
    server = start_server("--no-upgrade")
    with Client(key, "127.0.0.1", server.port) as client:
        assert client.eval("1") == 1


def test_a_flipped_bit(start_other: Start, key: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Code that was changed on its way does not run: one line on the server, one clear error here."""
    server = start_other(sys.executable, OLDER, "-c", "QuietServer")
    pack = upgrade.pack_code

    def change(*arguments: Any) -> bytes:
        packed = bytearray(pack(*arguments))
        packed[-100] ^= 1
        return bytes(packed)

    monkeypatch.setattr(sending, "pack_code", change)
    text = f"the server refused the code of EasyCluster {VERSION}: the client's code was changed on its way"
    with pytest.raises(ConnectError, match=re.escape(text)):
        Client(key, "127.0.0.1", server.port)

    log = server.wait_for_log("was refused: the client's code was changed on its way")
    assert len(log.splitlines()) == 2, log
    monkeypatch.undo()
    with Client(key, "127.0.0.1", server.port) as client:
        assert client.eval("1") == 1


def test_nothing_secret_is_seen(start_other: Start, key: bytes) -> None:
    """The keys of the session are in no command line and no environment, and the guardian does not hold them."""
    server = start_other()
    with Client(key, "127.0.0.1", server.port) as client:
        agreement = client._easycluster_session().link.agreement
        assert agreement.send_key is not None
        assert agreement.receive_key is not None
        guardian = client.os.getppid()
        for pid in (client.os.getpid(), guardian):
            for name in ("cmdline", "environ"):
                data = Path(f"/proc/{pid}/{name}").read_bytes()
                for secret in (key, agreement.send_key, agreement.receive_key):
                    assert secret not in data
                    assert secret.hex().encode() not in data
        pipes = [os.readlink(each) for each in Path(f"/proc/{guardian}/fd").iterdir()]

        assert (
            sum(each.startswith("pipe:") for each in pipes) == 4
        )  # of the worker, its own wake-up, and that to its keeper


def test_tls_by_certificate(start_other: Start, key_file: Path, tmp_path: Path) -> None:
    """TLS that was agreed on begins when the client's code runs, and the client knows of it."""
    authority = Authority(tmp_path)
    server = start_other(sys.executable, OLDER, "--tls-cert", authority.sign("127.0.0.1"))
    with Client.from_spec(f"127.0.0.1:{server.port}:kf={key_file}:tls=require") as client:
        assert client.eval("'a' * 100_000") == "a" * 100_000
        assert "TLS 1.3" in str(easycluster.security(client))


@pytest.mark.needs_pythons(f"python{tls_masters.VERSION}")
def test_tls_by_the_shared_key(start_other: Start, key_file: Path) -> None:
    """Nor does a newer Python at both ends need a certificate."""
    python = find_pythons()[tls_masters.VERSION]
    server = start_other(python)
    result = subprocess.run(
        [python, "-m", "helpers.tls_masters", "use", str(server.port), f"kf={key_file}"],
        env={**os.environ, "PYTHONPATH": tls_masters.SOURCES},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (result.stdout, result.stderr) == ("done\n", "")
    assert (
        f", TLS 1.3 with the shared key: it runs its own EasyCluster {VERSION}, not {OLDER}\n" in server.log
    )


def test_many_at_once(start_other: Start, key: bytes) -> None:
    """Clients that come together do not wait for each other's code."""
    server = start_other()
    answers: list[int] = []

    def run() -> None:
        with Client(key, "127.0.0.1", server.port) as client:
            answers.append(client.eval("2"))

    threads = [threading.Thread(target=run) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wait_until(lambda: len(answers) == 6)
