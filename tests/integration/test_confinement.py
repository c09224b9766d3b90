"""Connections with fewer rights than their server: another user, less memory, less urgency.

The server runs by the system's own Python from a copy that everybody can read: another user could not use ours.
"""

from __future__ import annotations

import os
import pwd
import resource
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

import easycluster
from easycluster import Client, ConnectError, read_key_file
from easycluster_server._system.posix.proc import find_descendants, read_processes
from helpers.certificates import Authority
from helpers.masters import identify, wait_until_gone
from helpers.servers import COMMAND, Server, generate_key_file, run_command

PYTHON = "/usr/bin/python3"
NOBODY = pwd.getpwnam("nobody")
PACKAGES = Path(__file__).parents[2] / "packages"

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


@pytest.fixture(scope="module")
def shared() -> Iterator[Path]:
    """A folder with our packages that everybody can read."""
    folder = Path(tempfile.mkdtemp(prefix="easycluster-test-"))
    for package in ("protocol", "server"):
        shutil.copytree(PACKAGES / f"easycluster-{package}" / "src", folder, dirs_exist_ok=True)
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def roots_key(tmp_path: Path) -> Path:
    """A key file of root's in a folder that everybody can enter."""
    return generate_key_file(tmp_path / "server.key")


@pytest.fixture
def server(shared: Path, roots_key: Path, tmp_path: Path) -> Iterator[Server]:
    """A server of root's whose connections run as nobody."""
    server = start(shared, tmp_path, roots_key, "--run-as", "nobody")
    yield server
    server.stop()


@pytest.fixture
def client(server: Server, roots_key: Path) -> Iterator[Any]:
    """A client of it."""
    with connect(server, roots_key) as client:
        client.execblock("import os, subprocess, sys")
        yield client


def start(shared: Path, folder: Path, roots_key: Path, *arguments: str) -> Server:
    """Start a server by the system's Python."""
    command = (PYTHON, "-m", "easycluster")
    return Server(folder, "-k", roots_key, *arguments, command=command, env={"PYTHONPATH": str(shared)})


def connect(server: Server, roots_key: Path) -> Any:
    """Connect to a server."""
    return Client(read_key_file(roots_key), "127.0.0.1", server.port)


def test_connections_are_another_user(client: Any) -> None:
    """User, group and further groups are the other one's, for good, and so are home, names and folder."""
    assert tuple(client.os.getresuid()) == (NOBODY.pw_uid,) * 3
    assert tuple(client.os.getresgid()) == (NOBODY.pw_gid,) * 3
    assert set(client.os.getgroups()) <= set(os.getgrouplist("nobody", NOBODY.pw_gid))
    assert client.eval("[os.environ[name] for name in ('HOME', 'USER', 'LOGNAME')]") == [
        NOBODY.pw_dir,
        "nobody",
        "nobody",
    ]
    assert client.os.listdir(".") is not None
    for name in ("setuid", "setgid"):
        with pytest.raises(PermissionError):
            client.eval(f"os.{name}(0)")
    status = client.eval("open('/proc/self/status').read()")
    for line in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        assert f"{line}:\t0000000000000000\n" in status


def test_the_key_is_out_of_reach(client: Any, server: Server, roots_key: Path) -> None:
    """A connection can neither read the key file nor the memory or descriptors of the server's processes."""
    with pytest.raises(PermissionError):
        client.eval(f"open({str(roots_key)!r}).read()")
    worker = client.os.getpid()
    processes = [server.process.pid, *(p.pid for p in find_descendants(server.process.pid, read_processes()))]
    others = [pid for pid in processes if pid != worker]
    assert len(others) == 4  # listener, fork server, keeper, guardian
    for pid in others:
        for path in (f"/proc/{pid}/mem", f"/proc/{pid}/environ"):
            with pytest.raises(PermissionError):
                client.eval(f"open({path!r}, 'rb').read(1)")
        with pytest.raises(PermissionError):
            client.eval(f"os.listdir('/proc/{pid}/fd')")
        with pytest.raises(PermissionError):
            client.eval(f"os.kill({pid}, 9)")


def test_descriptors_of_a_connection(client: Any, roots_key: Path) -> None:
    """A connection holds its own descriptors and no others."""
    folder = "/proc/self/fd/"
    names = client.os.listdir(folder)
    links = client.eval(
        f"[os.readlink({folder!r} + name) for name in {names} if os.path.islink({folder!r} + name)]"
    )

    assert not any(str(roots_key) in link for link in links)
    assert sum(link.startswith("socket:") for link in links) == 1


def test_nothing_is_left_behind(server: Server, roots_key: Path) -> None:
    """What a connection of another user has started ends with its server, daemons too, and with its client."""
    client = connect(server, roots_key)
    client.execblock("import os, subprocess")
    command = "subprocess.Popen(['sleep', '600'], start_new_session={}).pid"
    same = client.eval(command.format(False))
    processes = identify(client.os.getpid(), client.os.getppid(), same)
    client.close()
    wait_until_gone(processes)

    client = connect(server, roots_key)
    client.execblock("import os, subprocess")
    processes = identify(client.os.getpid(), client.os.getppid(), client.eval(command.format(True)))
    os.kill(server.process.pid, signal.SIGKILL)
    wait_until_gone(processes)
    client.close()


def test_end_of_the_guardian_ends_the_worker(server: Server, roots_key: Path) -> None:
    """The kernel ends the worker of another user with its guardian, as any other."""
    client = connect(server, roots_key)
    processes = identify(client.os.getpid())
    os.kill(client.os.getppid(), signal.SIGKILL)
    wait_until_gone(processes)
    client.close()


def test_output_of_another_user(client: Any, server: Server) -> None:
    """What a connection prints reaches the server's log."""
    client.call("print", "printed by nobody")
    server.wait_for_log("printed by nobody")

    assert "connections run as root" not in server.whole_log


def test_private_key_of_the_certificate(shared: Path, roots_key: Path, tmp_path: Path) -> None:
    """TLS by certificate works, and the other user can read the private key neither in its file nor in memory."""
    authority = Authority(tmp_path)
    certificate = authority.sign("127.0.0.1")
    certificate.chmod(0o600)
    private_key = load_pem_private_key(certificate.read_bytes(), None)
    assert isinstance(private_key, EllipticCurvePrivateKey)
    number = private_key.private_numbers().private_value.to_bytes(32, "little")  # as OpenSSL holds it
    server = start(shared, tmp_path, roots_key, "--run-as", "nobody", "--tls-cert", str(certificate))
    spec = f"127.0.0.1:{server.port}:kf={roots_key}:tls_ca={authority.file}"
    with Client.from_spec(spec) as client:
        assert client.eval("'a' * 100_000") == "a" * 100_000
        assert "certificate" in str(easycluster.security(client))
        assert client.os.getuid() == NOBODY.pw_uid
        with pytest.raises(PermissionError):
            client.eval(f"open({str(certificate)!r}).read()")
        assert read_memory(client.os.getpid()).count(number) == 0
    server.stop()


def read_memory(pid: int) -> bytes:
    """Return all memory of a process that it can write."""
    data = b""
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb") as memory:
        for line in maps:
            ends, rights, *_ = line.split()
            begin, end = (int(each, 16) for each in ends.split("-"))
            if rights.startswith("rw"):
                memory.seek(begin)
                data += memory.read(end - begin)
    return data


@pytest.mark.parametrize("run_as", [(), ("--run-as", "root")], ids=["", "root by name"])
def test_warning_of_root(run_as: tuple[str, ...], shared: Path, roots_key: Path, tmp_path: Path) -> None:
    """A server of root's without another user says once what that means."""
    server = start(shared, tmp_path, roots_key, *run_as)
    server.stop()

    assert server.whole_log.count("connections run as root") == 1


def test_python_that_the_user_cannot_use(roots_key: Path, tmp_path: Path) -> None:
    """If the other user cannot read the modules, the server says so at once and does not start."""
    private = tmp_path / "private"
    private.mkdir(0o700)
    for package in ("protocol", "server"):
        shutil.copytree(PACKAGES / f"easycluster-{package}" / "src", private, dirs_exist_ok=True)
    with pytest.raises(AssertionError, match="connections cannot run as 'nobody': this user cannot use"):
        start(private, tmp_path, roots_key, "--run-as", "nobody")


def test_unknown_user(roots_key: Path) -> None:
    """A user who does not exist is a wrong command line."""
    result = run_command("-S", "-k", roots_key, "--run-as", "no-such-user")

    assert (result.returncode, result.stderr) == (
        2,
        "easycluster: connections cannot run as 'no-such-user': there is no such user\n",
    )


def test_memory_and_niceness(start_server: Any, key: bytes) -> None:
    """A call that takes too much memory fails by itself, and the next one works; niceness is added."""
    server = start_server("--max-memory", "512M", "--nice", "2")
    with Client(key, "127.0.0.1", server.port) as client:
        with pytest.raises(MemoryError):
            client.eval("len(bytearray(2**30))")
        assert client.eval("len(bytearray(2**20))") == 2**20
        assert client.os.nice(0) == os.nice(0) + 2


def test_rights_that_cannot_be_taken(roots_key: Path, tmp_path: Path) -> None:
    """If the process of a connection cannot be confined, the client learns why, and nothing of it runs."""
    code = (
        "import ctypes, os, sys; ctypes.CDLL(None).prctl(24, 24, 0, 0, 0);os.execv(sys.argv[1], sys.argv[1:])"
    )
    powerless = (sys.executable, "-c", code, COMMAND)  # without the capability CAP_SYS_RESOURCE
    server = Server(tmp_path, "-k", roots_key, "--max-memory", "2G", command=powerless)
    resource.prlimit(server.process.pid, resource.RLIMIT_DATA, (1 << 30, 1 << 30))  # its own limit comes late
    try:
        with pytest.raises(ConnectError, match="no process can be started for it: .*not allowed to raise"):
            connect(server, roots_key)
        server.wait_for_log("cannot be confined")
    finally:
        server.stop()
