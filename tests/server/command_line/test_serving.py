"""``easycluster -S``; tests/integration/test_cli.py runs real servers."""

from __future__ import annotations

import errno
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from easycluster_protocol._constants import DEFAULT_PORT, VERSION
from easycluster_protocol.keys import generate_key, write_key_file
from easycluster_server._command_line import main, serving


class FakeServer:
    """Notes how it is made and run.

    Args:
        port: as a real one takes it.
        key: the same.
        keywords: the same.
    """

    default_verbosity = 2
    made: list[FakeServer]
    error: Exception | None = None

    def __init__(self, port: int, key: bytes, **keywords: Any) -> None:
        if FakeServer.error is not None:
            raise FakeServer.error
        self.arguments = {"port": port, "key": key, **keywords}
        self.notes: list[str] = []
        self.addresses = ["192.0.2.1:5", "[2001:db8::1]:5"]
        FakeServer.made.append(self)

    def serve(self) -> None:
        self.notes.append("serve")
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.raise_signal(number)

    def stop(self) -> None:
        self.notes.append("stop")


class FakeQuietServer(FakeServer):
    default_verbosity = 0


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[FakeServer]]:
    """The servers that the command has made, which do not listen."""
    classes = {"Server": FakeServer, "QuietServer": FakeQuietServer}
    monkeypatch.setattr(serving, "CLASSES", classes)
    monkeypatch.setattr(FakeServer, "made", [], raising=False)
    monkeypatch.setattr(FakeServer, "error", None)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield FakeServer.made
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture
def key() -> bytes:
    """A key."""
    return generate_key()


@pytest.fixture
def key_file(tmp_path: Path, key: bytes) -> str:
    """The same in a file that only this user can read."""
    path = tmp_path / "secret.key"
    write_key_file(str(path), key)
    return str(path)


def test_serving(
    servers: list[FakeServer], key_file: str, key: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    """A server on every address is made and announced; it runs until Ctrl-C or SIGTERM stop it."""
    assert main(["-S", "-k", key_file]) == 0
    (server,) = servers

    assert server.arguments == {"port": DEFAULT_PORT, "key": [key], "verbosity": 2, "sockets": []}
    assert server.notes == ["serve", "stop", "stop"]
    assert capsys.readouterr().out == f"easycluster {VERSION} listens on 192.0.2.1:5, [2001:db8::1]:5\n"


def test_options_of_a_server(servers: list[FakeServer], key: bytes) -> None:
    """Each option arrives; verbosity is added to that of the class."""
    text = key.hex()
    words = f"-S -K {text} -p 0 -b 127.0.0.1 -a 192.0.2.0/24 -a 2001:db8::/32 -N -vv -c QuietServer"

    assert main(words.split()) == 0
    (server,) = servers
    assert type(server) is FakeQuietServer
    assert server.arguments == {
        "port": 0,
        "key": [key],
        "bindaddr": ["127.0.0.1"],
        "allow": ["192.0.2.0/24", "2001:db8::/32"],
        "verbosity": 2,
        "disable_ipv6": True,
        "sockets": [],
    }


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("-c Loud", "-c: there is no server class 'Loud'; there are Server and QuietServer"),
        ("-p -1", "-p: -1 is not a TCP port, a number from 0 (any that is free) to 65535"),
        ("-p 65536", "-p: 65536 is not a TCP port, a number from 0 (any that is free) to 65535"),
        ("-a x", "-a: 'x' does not appear to be an IPv4 or IPv6 network"),
        ("-K abc", "-k and -K exclude each other: leave one out"),
    ],
)
def test_wrong_command_lines(
    servers: list[FakeServer], key_file: str, words: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """An impossible wish is an error of usage: status 2 and one line, and no server is made."""
    assert main(["-S", "-k", key_file, *words.split()]) == 2
    assert capsys.readouterr().err == f"easycluster: {message}\n"
    assert servers == []


def test_address_in_use(
    servers: list[FakeServer],
    key_file: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """An error of the system is a failure, and nothing is announced."""
    monkeypatch.setattr(FakeServer, "error", OSError("cannot listen on port 5: Address already in use"))

    assert main(["-S", "-k", key_file]) == 1
    found = capsys.readouterr()
    assert found.out == ""
    assert found.err == "easycluster: cannot listen on port 5: Address already in use\n"


@pytest.mark.parametrize("words", ["-S", "-S -K", "-S -k /no/such/file"])
def test_serving_without_a_key(
    servers: list[FakeServer], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a key that can be used no server is made; the message is one line, or argparse's own."""
    arguments = words.split()
    if arguments[-1] == "-K":
        with pytest.raises(SystemExit) as left:
            main(arguments)
        assert left.value.code == 2
    else:
        assert main(arguments) == (1 if "-k" in arguments else 2)
        error = capsys.readouterr().err
        assert error.startswith("easycluster: ")
        assert error.count("\n") == 1
    assert servers == []


def test_key_file_of_everybody(
    servers: list[FakeServer], key_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A key file that others can read is refused before it is read."""
    Path(key_file).chmod(0o644)

    assert main(["-S", "-k", key_file]) == 1
    assert key_file in capsys.readouterr().err
    assert servers == []


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.EADDRINUSE, "end the program that has the port, or choose another port with -p"),
        (errno.EACCES, "choose a port above 1023 with -p"),
        (errno.EADDRNOTAVAIL, "-b takes an address of this machine"),
        (socket.EAI_NONAME, "-b takes an address of this machine"),
    ],
)
def test_advice(
    capsys: pytest.CaptureFixture[str], servers: list[FakeServer], number: int, advice: str
) -> None:
    """A server that cannot listen says what to do."""
    FakeServer.error = OSError(number, "cannot listen")
    assert main(["-S", "-K", "a key"]) == 1

    assert advice in capsys.readouterr().err
    assert not servers


@pytest.mark.parametrize("option", ["--pidfile", "--log", "--profile"])
def test_file_that_cannot_be_written(
    capsys: pytest.CaptureFixture[str], servers: list[FakeServer], tmp_path: Path, option: str
) -> None:
    """The option of a file that cannot be written is named."""
    path = tmp_path / "missing" / "file"
    assert main(["-S", "-K", "a key", option, str(path)]) == 1

    assert capsys.readouterr().err == (
        f"easycluster: [Errno 2] No such file or directory ({option}): '{path}'\n"
    )


def test_key_file_that_cannot_be_read(
    capsys: pytest.CaptureFixture[str], servers: list[FakeServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error of the key file gets no advice about ports."""

    def refuse(path: str) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", path)

    monkeypatch.setattr("easycluster_server._command_line.serving.require_private", refuse)
    assert main(["-S", "-k", "secret.key"]) == 1

    assert capsys.readouterr().err == "easycluster: [Errno 13] Permission denied: 'secret.key'\n"
    assert not servers


# The configuration file.


def test_settings_of_a_file(servers: list[FakeServer], key_file: str, key: bytes) -> None:
    """A server has the settings of its file, and options go before them."""
    config = Path(key_file).with_name("server.ini")
    config.write_text("[server]\nkeyfile = secret.key\nport = 12000\nbind = ::1\nclass = QuietServer\n")

    assert main(["-S", "--config", str(config), "-p", "12001"]) == 0
    (server,) = servers
    assert type(server) is FakeQuietServer
    expected = {"port": 12001, "key": [key], "bindaddr": ["::1"], "verbosity": 0, "sockets": []}
    assert server.arguments == expected


def test_bad_file(
    servers: list[FakeServer], key_file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file with an error is as a wrong command line; one that is missing is a failure."""
    config = tmp_path / "server.ini"
    assert main(["-S", "-k", key_file, "--config", str(config)]) == 1
    assert str(config) in capsys.readouterr().err
    config.write_text("[server]\nport = x\n")

    assert main(["-S", "-k", key_file, "--config", str(config)]) == 2
    assert capsys.readouterr().err.startswith(f"easycluster: {config}: [server] port: x is not a TCP port")
    assert servers == []
