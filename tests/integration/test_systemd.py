"""The server as a service of systemd, on a host that was booted by it: each verb, and what happens over time."""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from easycluster import Client, ConnectError, ConnectionLost
from helpers.sshd import free_port
from helpers.systemd_host import SystemdHost
from helpers.waiting import wait_until

pytestmark = [pytest.mark.needs_systemd, pytest.mark.xdist_group("systemd")]

PACKAGES = Path(__file__).parents[2] / "packages"
EASYCLUSTER = ("/opt/shared/bin/python", "-m", "easycluster")
CONFIG = "/etc/easycluster/server.ini"
KEY = "/etc/easycluster/server.key"

#: Variables that systemd gives to a service, and that are nothing to the code of clients.
OF_SYSTEMD = {
    "CREDENTIALS_DIRECTORY",
    "INVOCATION_ID",
    "JOURNAL_STREAM",
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
    "LISTEN_PID",
    "NOTIFY_SOCKET",
    "STATE_DIRECTORY",
    "SYSTEMD_EXEC_PID",
}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment of the system's Python that has the server and not the client."""
    folder = tmp_path_factory.mktemp("systemd") / "shared"
    subprocess.run(["/usr/bin/python3", "-m", "venv", "--without-pip", str(folder)], check=True)
    (site,) = folder.glob("lib/python3*/site-packages")
    for package in ("protocol", "server"):
        for source in (PACKAGES / f"easycluster-{package}" / "src").iterdir():
            shutil.copytree(source, site / source.name, ignore=shutil.ignore_patterns("__pycache__"))
    # The host cannot write here, so each of its commands would compile everything.
    subprocess.run(["/usr/bin/python3", "-m", "compileall", "-q", str(site)], check=True)
    return folder


@pytest.fixture
def host(tmp_path: Path, shared: Path, no_leaks: None) -> Iterator[SystemdHost]:
    """The host, fresh for each test: it boots in half a second."""
    with SystemdHost(tmp_path, shared) as host:
        yield host


@pytest.fixture
def port() -> int:
    """A port that is free; the host has the network of this machine."""
    return free_port()


def easycluster(host: SystemdHost, *arguments: object, status: int = 0) -> str:
    """Run the command there, and return what it printed."""
    result = host.run(*EASYCLUSTER, *arguments, check=False)
    assert result.returncode == status, result.stdout
    return result.stdout


def key_of(host: SystemdHost, path: str = KEY) -> bytes:
    """The key that the service reads."""
    return bytes.fromhex(host.run("cat", path).stdout.strip())


def connect(host: SystemdHost, port: int, path: str = KEY) -> Client:
    """A client of the service."""
    return Client(key_of(host, path), "127.0.0.1", port)


def main_pid(host: SystemdHost) -> str:
    """The number of the server's process, as the host counts."""
    return host.run("systemctl", "show", "--property=MainPID", "--value", "easycluster").stdout.strip()


def test_life_of_a_service(host: SystemdHost, port: int) -> None:
    """It is installed, starts, serves as a user of its own, comes back when it is killed and after a boot, and is removed."""
    assert host.run(*EASYCLUSTER, "--query-installed", check=False).returncode == 1
    easycluster(host, "--status", status=4)
    said = easycluster(host, "--install", "-p", port, "-b", "127.0.0.1")
    assert "it starts on the next boot" in said
    assert key_of(host).hex() not in said
    easycluster(host, "--query-installed")
    easycluster(host, "--status", status=3)
    with pytest.raises(ConnectError, match="refused"):
        connect(host, port)

    easycluster(host, "--start")
    assert "it runs already" in easycluster(host, "--start")
    assert "the service of this machine runs" in easycluster(host, "--status")
    with connect(host, port) as client:
        assert client.eval("__import__('getpass').getuser(), __import__('os').getcwd()") == (
            "easycluster",
            "/var/lib/easycluster",
        )
        host.run("kill", "-9", main_pid(host))
        with pytest.raises(ConnectionLost):
            client.eval("__import__('time').sleep(60)")
    wait_until(lambda: is_active(host), what="the restart of the service")
    with connect(host, port) as client:
        assert client.eval("6 * 7") == 42

    host.reboot()
    with connect(host, port) as client:
        assert client.eval("6 * 7") == 42
    easycluster(host, "--stop")
    assert "it does not run" in easycluster(host, "--stop")
    easycluster(host, "--status", status=3)

    key = key_of(host)
    said = easycluster(host, "--uninstall")
    assert f"left: the key, {KEY}" in said
    assert key_of(host) == key
    assert left_behind(host) == [KEY]
    assert "nothing was installed" in easycluster(host, "--uninstall")


def is_active(host: SystemdHost) -> bool:
    """Whether the service is up."""
    return host.run("systemctl", "is-active", "easycluster", check=False).returncode == 0


def left_behind(host: SystemdHost) -> list[str]:
    """The files of the service that are on the host, and its user."""
    found = host.run(
        "find", "/etc", "/var/lib", "-name", "*easycluster*", "-o", "-path", "/etc/easycluster/*"
    ).stdout
    users = host.run("grep", "-c", "^easycluster:", "/etc/passwd", check=False).stdout.strip()
    return [path for path in found.splitlines() if path != "/etc/easycluster"] + (
        [] if users == "0" else ["user"]
    )


def test_environment_of_calls(host: SystemdHost, port: int) -> None:
    """Nothing that systemd tells the service by its environment reaches the code of clients, nor a program of theirs."""
    easycluster(host, "--install", "--start", "--restart-safe", "-p", port, "-b", "127.0.0.1")
    # The service itself has them all.
    given = host.run("cat", f"/proc/{main_pid(host)}/environ").stdout
    assert {line.partition("=")[0] for line in given.split("\0")} >= OF_SYSTEMD

    with connect(host, port) as client:
        names = set(client.eval("dict(__import__('os').environ)"))
        program = client.eval("__import__('subprocess').check_output(['env'], text=True)")

    assert names & OF_SYSTEMD == set()
    assert {"HOME", "PATH", "USER"} <= names
    assert {line.partition("=")[0] for line in program.splitlines()} & OF_SYSTEMD == set()


@pytest.mark.parametrize("strict", [(), ("--strict",)], ids=["moderate", "strict"])
def test_protection(host: SystemdHost, port: int, strict: tuple[str, ...]) -> None:
    """Calls and programs run in either protection, which systemd finds medium, or safe; the key is not readable."""
    easycluster(host, "--install", "--start", "-p", port, "-b", "127.0.0.1", *strict)
    score = host.run("systemd-analyze", "security", "--no-pager", "easycluster").stdout.splitlines()[-1]

    with connect(host, port) as client:
        assert client.eval("__import__('subprocess').check_output(['echo', 'x'])") == b"x\n"
        with pytest.raises(PermissionError):
            client.open(KEY)
    assert float(score.split(": ")[1].split()[0]) <= (1.5 if strict else 4.5), score
    assert host.run("systemd-analyze", "verify", "/etc/systemd/system/easycluster.service").stdout == ""


def test_detached_processes_end(host: SystemdHost, port: int) -> None:
    """A process that was detached outlives its connection, and ends when the service is stopped."""
    easycluster(host, "--install", "--start", "-p", port, "-b", "127.0.0.1")
    with connect(host, port) as client:
        client.execblock(
            "import subprocess, easycluster.server\n"
            "child = subprocess.Popen(['sleep', '1234'], start_new_session=True)\n"
            "easycluster.server.detach(child)"
        )
    assert host.run("pgrep", "-f", "sleep 1234").stdout

    easycluster(host, "--stop")
    # systemctl does not always wait for the end of processes other than the service's own.
    wait_until(
        lambda: host.run("pgrep", "-f", "sleep 1234", check=False).stdout == "", what="the end of the process"
    )


def upgrade(folder: Path) -> None:
    """Replace the package by another build of it, as pip does: the old folder goes, the new one comes."""
    (package,) = folder.glob("lib/python3*/site-packages/easycluster_server")
    new = package.with_name("new")
    shutil.copytree(package, new, ignore=shutil.ignore_patterns("__pycache__"))
    with (new / "__init__.py").open("a") as file:
        file.write("\nBUILD = 2\n")
    shutil.rmtree(package)
    new.rename(package)


def test_restart_safe(host: SystemdHost, port: int, shared: Path) -> None:
    """Over restarts, of which one replaces the package, no connect is refused: systemd holds the port meanwhile."""
    easycluster(host, "--install", "--start", "--restart-safe", "-p", port, "-b", "127.0.0.1")
    key = key_of(host)
    refused: list[BaseException] = []
    builds: set[int] = set()
    stop = threading.Event()

    def connect_again_and_again() -> None:
        while not stop.is_set():
            try:
                with Client(key, "127.0.0.1", port) as client:
                    builds.add(client.eval("getattr(__import__('easycluster_server'), 'BUILD', 1)"))
            except ConnectError as error:
                # Those that were in their handshake when the server ended.
                if "refused" in str(error):
                    refused.append(error)
            except ConnectionLost:
                pass

    thread = threading.Thread(target=connect_again_and_again)
    thread.start()
    try:
        wait_until(lambda: builds == {1}, what="the first connection")
        upgrade(shared)
        host.run("systemctl", "restart", "easycluster")
        wait_until(lambda: 2 in builds, what="a connection to the new version")
        host.run("systemctl", "restart", "easycluster")
    finally:
        stop.set()
        thread.join()

    assert refused == []


def test_installing_again(host: SystemdHost, port: int) -> None:
    """Installing again changes only what is asked for; what the file has gained by hand stays, and so does the key."""
    easycluster(host, "--install", "--start", "-p", port, "-b", "127.0.0.1")
    key, pid = key_of(host), main_pid(host)
    assert "everything is installed so already" in easycluster(host, "--install", "-p", port)
    assert main_pid(host) == pid
    host.run("sed", "-i", "s/^verbose = 1/# as I like it\\nverbose = 2/", CONFIG)

    other = free_port()
    said = easycluster(host, "--install", "--start", "--restart-safe", "-p", other)

    config = host.run("cat", CONFIG).stdout
    assert "# as I like it\nverbose = 2\n" in config
    assert f"\nport = {other}\n" in config
    assert key_of(host) == key
    assert "wrote /etc/systemd/system/easycluster.socket" in said
    with connect(host, other) as client:
        assert client.eval("1") == 1
    easycluster(host, "--install", "-O")
    assert key_of(host) != key
    host.run("sed", "-i", "s/^restart-safe = yes/restart-safe = no/", CONFIG)
    easycluster(host, "--install", "--start")
    assert "easycluster.socket" not in host.run("systemctl", "list-units", "--all", "--no-pager").stdout


def test_given_key(host: SystemdHost, port: int, key_file: Path, key: bytes) -> None:
    """With `-k` the service has a copy of that key, which only root can read."""
    host.run("sh", "-c", f"umask 077; echo {key.hex()} > /root/mine.key")
    easycluster(host, "--install", "--start", "-k", "/root/mine.key", "-p", port, "-b", "127.0.0.1")

    with Client(key, "127.0.0.1", port) as client:
        assert client.eval("1") == 1
    assert host.run("stat", "-c", "%U %a", KEY).stdout == "root 600\n"


def test_service_of_a_user(host: SystemdHost, port: int) -> None:
    """With `--user` a user who is no administrator has a service, which comes back after a boot without a login."""
    host.run("useradd", "--create-home", "ann")
    host.run("loginctl", "enable-linger", "ann")
    runtime = f"/run/user/{host.run('id', '-u', 'ann').stdout.strip()}"
    wait_until(lambda: host.run("test", "-S", f"{runtime}/systemd/private", check=False).returncode == 0)
    run = ("env", f"XDG_RUNTIME_DIR={runtime}", "HOME=/home/ann", *EASYCLUSTER)
    said = host.run(*run, "--install", "--start", "--user", "-p", port, "-b", "127.0.0.1", user="ann").stdout
    key = "/home/ann/.config/easycluster/server.key"
    assert f"key: {key}" in said

    host.reboot()
    wait_until(lambda: host.run(*run, "--status", "--user", user="ann", check=False).returncode == 0)
    with connect(host, port, key) as client:
        assert client.eval("__import__('getpass').getuser()") == "ann"
    assert f"left: the key, {key}" in host.run(*run, "--uninstall", "--user", user="ann").stdout


def test_without_permission(host: SystemdHost) -> None:
    """A user who may not install is told what to do."""
    result = host.run(*EASYCLUSTER, "--install", user="nobody", check=False)

    assert result.returncode == 1
    assert "be root (sudo), or add --user" in result.stdout


def test_wrong_configuration(host: SystemdHost, port: int) -> None:
    """A service whose file has an error does not start, again and again; the reason is in the log and in the check."""
    easycluster(host, "--install", "-p", port, "-b", "127.0.0.1")
    host.run("sed", "-i", "s/^verbose = 1/verbos = 1/", CONFIG)

    assert "journalctl -u easycluster" in easycluster(host, "--start", status=1)
    assert "has no key 'verbos'" in easycluster(host, "--check", status=1)
    assert "has no key 'verbos'" in host.run("journalctl", "-u", "easycluster", "--no-pager").stdout
    assert host.run("systemctl", "is-failed", "easycluster", check=False).returncode == 0
