"""The command ``easycluster``: making keys, and serving."""

from __future__ import annotations

import os
import re
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from easycluster import (
    VERSION,
    Client,
    ConnectionLost,
    decode_key,
    define_common,
    generate_key,
    read_key_file,
)
from helpers.servers import COMMAND, Server, run_command
from helpers.sshd import free_port
from helpers.waiting import PATIENCE, wait_until

StartServer = Callable[..., Server]

DEFINITIONS = """
import os
import threading

def add(a, b=0):
    return a + b

def fail(secret, *more, **others):
    raise ValueError('failed')

def hang():
    print('hanging', flush=True)
    threading.Event().wait()
"""


def failure(*arguments: object, status: int = 1) -> str:
    """Run a command line that has to fail; return what it says, which is one line."""
    result = run_command(*arguments)
    assert result.returncode == status, result
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("easycluster: ")
    return result.stderr


# Keys


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777])
def test_generate(tmp_path: Path, umask: int) -> None:
    """`-g FILE` makes a key that only its owner can read, whatever the umask is."""
    path = tmp_path / "secret.key"
    result = subprocess.run(
        [COMMAND, "-g", str(path)], umask=umask, capture_output=True, text=True, check=True, timeout=PATIENCE
    )

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert re.fullmatch(r"[0-9a-f]{64}\n", path.read_text())
    assert str(path) in result.stdout
    assert path.read_text().strip() not in result.stdout + result.stderr


def test_generate_twice(tmp_path: Path) -> None:
    """Two keys are never the same."""
    first, second = tmp_path / "first", tmp_path / "second"
    assert run_command("-g", first).returncode == run_command("--generate", second).returncode == 0

    assert first.read_text() != second.read_text()


def test_generate_is_exclusive(tmp_path: Path) -> None:
    """A file that exists is not touched, and the message says how to replace it."""
    path = tmp_path / "secret.key"
    path.write_text("precious")

    assert "-O" in failure("-g", path)
    assert path.read_text() == "precious"


def test_overwrite(tmp_path: Path) -> None:
    """With `-O` the file is replaced, with the right permissions."""
    path = tmp_path / "secret.key"
    path.write_text("old")
    path.chmod(0o644)

    assert run_command("-g", path, "-O").returncode == 0
    assert len(read_key_file(path)) == 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_generate_nowhere(tmp_path: Path) -> None:
    """A file that cannot be made is an error that names it."""
    assert "nowhere/secret.key" in failure("-g", tmp_path / "nowhere" / "secret.key")


# The key of a server


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o602])
def test_readable_key_file(tmp_path: Path, key_file: Path, mode: int) -> None:
    """A key file that others can read or write is refused, with the command that mends it."""
    path = tmp_path / "my key"
    path.write_text(key_file.read_text())
    path.chmod(mode)

    said = failure("-S", "-k", path, "-p", "0")

    (command,) = re.findall(r"run: (chmod 600 .*)\n", said)
    subprocess.run(["sh", "-c", command], check=True)
    server = Server(tmp_path, "-k", path)
    assert server.stop() == 0


def test_missing_key_file(tmp_path: Path) -> None:
    """A key file that does not exist is an error that names it, and says how to make one."""
    path = tmp_path / "no.key"
    said = failure("-S", "-k", path, "-p", "0")
    assert f"No such file or directory (make one with easycluster -g {path}): '{path}'" in said


def test_key_file_that_is_none(tmp_path: Path) -> None:
    """A blank key file is an error that says how to make one."""
    path = tmp_path / "blank.key"
    path.touch(0o600)

    assert "easycluster -g" in failure("-S", "-k", path, "-p", "0")


@pytest.mark.parametrize("arguments", [(), ("-K", ""), ("-K", "  ")])
def test_no_key(arguments: tuple[str, ...]) -> None:
    """Serving without a key is refused, and the options are named."""
    said = failure("-S", "-p", "0", *arguments, status=2)

    assert "-k FILE" in said
    assert "-K KEY" in said


def test_two_keys(key_file: Path) -> None:
    """`-k` and `-K` exclude each other."""
    assert "-k and -K" in failure("-S", "-k", key_file, "-K", "s3cret", status=2)


def test_key_as_text(start_server: StartServer) -> None:
    """`-K KEY` serves with a key given as text, as `key=` of a spec."""
    server = start_server("-K", "s3cret")

    with Client.from_spec(f"127.0.0.1:{server.port}:key=s3cret") as client:
        assert client.eval("1") == 1
    with Client(decode_key("s3cret"), "127.0.0.1", server.port) as client:
        assert client.eval("2") == 2


@pytest.mark.parametrize(("key", "warnings"), [("abc", 1), ("s3cret", 0)])
def test_key_that_is_easily_guessed(start_server: StartServer, key: str, warnings: int) -> None:
    """A server with a short text as its key says so where it was started, without the text, and serves."""
    server = start_server("-K", key)

    assert server.log.count("a key of fewer than 6 characters is easily guessed") == warnings
    with Client.from_spec(f"127.0.0.1:{server.port}:key={key}") as client:
        assert client.eval("1") == 1
    assert key not in server.log


def test_key_file_of_published_version(start_server: StartServer, tmp_path: Path) -> None:
    """A key file of EasyCluster 0.x, 16 bytes in hexadecimal, goes on working."""
    path = tmp_path / "old.key"
    path.write_text("00112233445566778899aabbccddeeff\n")
    path.chmod(0o600)
    server = start_server("-k", path)

    with Client.from_spec(f"127.0.0.1:{server.port}:kf={path}") as client:
        assert client.eval("1") == 1


# Where a server listens


def test_default_port() -> None:
    """The help names the documented default port."""
    assert "default: 11999" in run_command("--help").stdout


def test_port_in_use(key_file: Path) -> None:
    """A port that is taken is an error that names it."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = failure("-S", "-k", key_file, "-b", "127.0.0.1", "-p", port)

    assert str(port) in said
    assert "in use" in said


@pytest.mark.parametrize("port", ["70000", "-1", "http"])
def test_impossible_port(key_file: Path, port: str) -> None:
    """What is no port is a wrong command line."""
    result = run_command("-S", "-k", key_file, f"--port={port}")

    assert result.returncode == 2
    assert port in result.stderr


def test_given_port(start_server: StartServer, key: bytes) -> None:
    """`-p` chooses the port, which the first line names."""
    port = free_port()
    server = start_server("-p", port)

    assert server.announced == f"easycluster {VERSION} listens on 127.0.0.1:{port}"
    with Client(key, "127.0.0.1", port) as client:
        assert client.eval("1") == 1


def reachable(key: bytes, port: int) -> list[str]:
    """The addresses of this machine at which a server answers."""
    found = []
    for host in ("127.0.0.1", "::1"):
        try:
            with Client(key, host, port) as client:
                assert client.eval("1") == 1
                found.append(client.peername)
        except OSError as error:
            assert "Connection refused" in str(error)
    return found


@pytest.mark.parametrize(
    ("arguments", "addresses"),
    [
        pytest.param(["-b", "127.0.0.1"], ["127.0.0.1:{}"], id="IPv4"),
        pytest.param(["-b", "::1"], ["[::1]:{}"], id="IPv6"),
        pytest.param(["-b", "0.0.0.0"], ["127.0.0.1:{}"], id="all IPv4"),
        pytest.param(["-b", "::"], ["[::1]:{}"], id="all IPv6"),
        pytest.param([None], ["127.0.0.1:{}", "[::1]:{}"], id="all"),
        pytest.param([None, "-N"], ["127.0.0.1:{}"], id="no IPv6"),
        pytest.param([None, "--no-ipv6"], ["127.0.0.1:{}"], id="long option"),
    ],
)
def test_addresses(
    start_server: StartServer, key: bytes, arguments: list[str | None], addresses: list[str]
) -> None:
    """A server listens on the address given by `-b`, else on all; with `-N` on IPv4 only."""
    server = start_server(*arguments)

    assert reachable(key, server.port) == [address.format(server.port) for address in addresses]


def test_no_such_address(key_file: Path) -> None:
    """An address that this machine does not have is an error that names it."""
    assert "192.0.2.1" in failure("-S", "-k", key_file, "-p", "0", "-b", "192.0.2.1")


def test_allow(start_server: StartServer, key: bytes) -> None:
    """`-a`, more than once, lets in only these networks; others are logged."""
    server = start_server("-a", "192.0.2.0/24", "-a", "127.0.0.0/8")
    with Client(key, "127.0.0.1", server.port) as client:
        assert client.eval("1") == 1

    closed = start_server("-a", "192.0.2.0/24")
    with pytest.raises(OSError, match=str(closed.port)):
        Client(key, "127.0.0.1", closed.port)
    assert "127.0.0.1:" in closed.wait_for_log("not in an allowed network")


def test_wrong_network(key_file: Path) -> None:
    """What is no network is a wrong command line."""
    assert "nonsense" in failure("-S", "-k", key_file, "-p", "0", "-a", "nonsense", status=2)


# What a server logs


def use(key: bytes, server: Server) -> None:
    """Make calls whose arguments must not be seen; on return they are logged, if they ever are."""
    with Client(key, "127.0.0.1", server.port) as client:
        assert client.add("hunter", b="2secret") == "hunter2secret"
        assert client.eval("'hunter2' + 'secret'") == "hunter2secret"
        client.execblock("x = 'hunter2secret'")
        client.y.value = "hunter2secret"
        for call in (client.fail, client.no_such_function):
            with pytest.raises((ValueError, NameError)):
                call("hunter2secret", word="hunter2secret", origexc="quiet")
        client.os.write(2, b"the end of it\n")
        client.eval("None")
    server.wait_for_log("the end of it")


def test_log(start_server: StartServer, key: bytes) -> None:
    """By default connections and calls are logged: from where, what, how long; never arguments."""
    define_common(DEFINITIONS)
    server = start_server()
    use(key, server)

    log = server.wait_for_log("called os.write")
    peer = r"127\.0\.0\.1:\d+"
    assert re.search(rf"^[\d-]+ [\d:,]+ easycluster: connection from {peer}, [^,]+", log, re.MULTILINE)
    for name in ("add", "eval", "execblock", "set_value", "fail"):
        end = ", failed: ValueError" if name == "fail" else ""
        line = rf"^[\d-]+ [\d:,]+ easycluster: {peer} called {name}: \d+\.\d ms{end}$"
        assert re.search(line, log, re.MULTILINE), name
    assert "hunter" not in log
    assert "secret" not in log
    assert key.hex() not in log


def test_quiet_server(start_server: StartServer, key: bytes) -> None:
    """`-c QuietServer` logs neither connections nor calls."""
    define_common(DEFINITIONS)
    server = start_server("-c", "QuietServer")
    use(key, server)

    assert server.log == server.announced + "\nthe end of it\n"


def test_quiet_server_logs_problems(start_server: StartServer) -> None:
    """`-c QuietServer` still logs who was refused."""
    server = start_server("-c", "QuietServer")
    with pytest.raises(PermissionError):
        Client(generate_key(), "127.0.0.1", server.port)

    server.wait_for_log("refused: the key is not the one of this server")


def test_verbose(start_server: StartServer, key: bytes) -> None:
    """Each `-v` logs one level more: with QuietServer one gives connections, two calls."""
    define_common(DEFINITIONS)
    one, two = start_server("-c", "QuietServer", "-v"), start_server("-c", "QuietServer", "-vv")
    use(key, one)
    use(key, two)

    assert "connection from" in one.log
    assert "called" not in one.log
    assert "called add" in two.log


def test_unknown_class(key_file: Path) -> None:
    """A class that does not exist is an error that names those that do."""
    said = failure("-S", "-k", key_file, "-p", "0", "-c", "LoudServer", status=2)

    assert "LoudServer" in said
    assert "QuietServer" in said


def test_output_of_remote_code(start_server: StartServer, key: bytes) -> None:
    """What remote code and its programs print appears where the server runs."""
    server = start_server("-c", "QuietServer")
    with Client(key, "127.0.0.1", server.port) as client:
        client.eval("print('from Python', flush=True)")
        client.subprocess.call(["echo", "from a program"])

    server.wait_for_log("from Python")
    server.wait_for_log("from a program")


# The end of a server


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stop_when_idle(start_server: StartServer, number: int) -> None:
    """Ctrl-C and SIGTERM end a server in order, and it prints no stack trace."""
    server = start_server()

    assert server.stop(number) == 0
    assert server.log == server.announced + "\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stop_ends_workers(start_server: StartServer, key: bytes, number: int) -> None:
    """With the server its workers end, idle ones and busy ones, and their programs."""
    define_common(DEFINITIONS)
    server = start_server()
    idle, busy = (Client(key, "127.0.0.1", server.port) for _ in range(2))
    program = idle.eval("__import__('subprocess').Popen(['sleep', '1000']).pid")
    workers = [client.os.getpid() for client in (idle, busy)]
    response = busy.hang(nonblocking=True)
    server.wait_for_log("hanging")

    assert server.stop(number) == 0

    with pytest.raises(ConnectionLost):
        response.wait()
    with pytest.raises(ConnectionLost):
        idle.eval("1")
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in (*workers, program)))
    idle.close()
    busy.close()
    assert "Traceback" not in server.log


def test_ctrl_c_on_a_terminal(key_file: Path, key: bytes, tmp_path: Path) -> None:
    """Ctrl-C goes to every process of the terminal, and still the end is in order."""
    master, slave = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", _ON_A_TERMINAL, COMMAND, "-S", "-k", str(key_file), "-p0", "-b", "127.0.0.1"],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
    )
    os.close(slave)
    output = Terminal(master)
    port = int(output.wait_for(rb"listens on 127\.0\.0\.1:(\d+)")[1])
    client = Client(key, "127.0.0.1", port)
    client.eval("__import__('subprocess').Popen(['sleep', '1000'])and None")
    os.write(master, b"\x03")

    assert process.wait(PATIENCE) == 0
    with pytest.raises(ConnectionLost):
        client.eval("1")
    client.close()
    output.close()
    assert b"Traceback" not in output.text


#: Makes the terminal the controlling one, as a shell has it, then becomes the command.
_ON_A_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


class Terminal:
    """Reads what appears on a terminal."""

    def __init__(self, master: int) -> None:
        self._master = master
        self.text = b""
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        try:
            while data := os.read(self._master, 4096):
                self.text += data
        except OSError:  # every process has left it
            pass

    def wait_for(self, pattern: bytes) -> re.Match[bytes]:
        """Wait until a pattern appears."""
        found = wait_until(lambda: re.search(pattern, self.text), what=f"{pattern!r} on the terminal")
        assert found is not None
        return found

    def close(self) -> None:
        """Wait for the end of the output."""
        self._thread.join(PATIENCE)
        os.close(self._master)


# The command itself


def test_nothing_to_do() -> None:
    """Without options the command explains itself, and fails."""
    result = run_command()

    assert result.returncode == 2
    assert "usage: easycluster" in result.stderr


def test_version() -> None:
    """`--version` prints the version."""
    assert run_command("--version").stdout == f"easycluster {VERSION}\n"


def test_module(tmp_path: Path) -> None:
    """`python -m easycluster` is the same command."""
    path = tmp_path / "secret.key"
    command = [sys.executable, "-m", "easycluster", "-g", str(path)]
    result = subprocess.run(command, capture_output=True, text=True, check=True, timeout=PATIENCE)

    assert result.stdout == f"wrote a new key to {path}; servers and masters need the same file\n"
    assert len(read_key_file(path)) == 32
