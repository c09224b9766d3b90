"""The command line: its options, exit statuses and messages; tests/integration/test_cli.py runs real servers."""

from __future__ import annotations

import errno
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from easycluster_protocol._constants import DEFAULT_PORT, VERSION
from easycluster_protocol.keys import generate_key, read_key_file, write_key_file
from easycluster_server import _command_line
from easycluster_server._command_line import main


class FakeServer:
    """Notes how it is made and run.

    Args:
        arguments: as a real one takes them.
    """

    default_verbosity = 2
    made: list[FakeServer]
    error: Exception | None = None

    def __init__(self, *arguments: Any) -> None:
        if FakeServer.error is not None:
            raise FakeServer.error
        self.arguments = arguments
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
    monkeypatch.setattr(_command_line, "CLASSES", classes)
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


# Keys.


def test_generating(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A key is made, and the file is named."""
    path = tmp_path / "new.key"

    assert main(["-g", str(path)]) == 0
    assert len(read_key_file(str(path))) == 32
    assert capsys.readouterr().out == f"wrote a new key to {path}; servers and masters need the same file\n"


def test_generating_over_a_file(key_file: str, key: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that exists stays, unless it is to be overwritten."""
    assert main(["--generate", key_file]) == 1
    assert read_key_file(key_file) == key
    assert capsys.readouterr().err == f"easycluster: {key_file} exists; to replace it add -O\n"
    assert main(["-O", "-g", key_file]) == 0
    assert read_key_file(key_file) != key


def test_generating_where_nothing_can_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What the system says is one line, without a stack trace."""
    assert main(["-g", str(tmp_path / "missing" / "new.key")]) == 1
    error = capsys.readouterr().err
    assert error.startswith("easycluster: ")
    assert error.count("\n") == 1


# Serving.


def test_serving(
    servers: list[FakeServer], key_file: str, key: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    """A server on every address is made and announced; it runs until Ctrl-C or SIGTERM stop it."""
    assert main(["-S", "-k", key_file]) == 0
    (server,) = servers

    assert server.arguments == (DEFAULT_PORT, key, None, [], 2, False)
    assert server.notes == ["serve", "stop", "stop"]
    assert capsys.readouterr().out == f"easycluster {VERSION} listens on 192.0.2.1:5, [2001:db8::1]:5\n"


def test_options_of_a_server(servers: list[FakeServer], key: bytes) -> None:
    """Each option arrives; verbosity is added to that of the class."""
    text = key.hex()
    words = f"-S -K {text} -p 0 -b 127.0.0.1 -a 192.0.2.0/24 -a 2001:db8::/32 -N -vv -c QuietServer"

    assert main(words.split()) == 0
    (server,) = servers
    assert type(server) is FakeQuietServer
    assert server.arguments == (0, key, "127.0.0.1", ["192.0.2.0/24", "2001:db8::/32"], 2, True)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("-c Loud", "there is no server class 'Loud': -c knows Server and QuietServer"),
        ("-p -1", "-p: -1 is not a TCP port, a number from 0 (any that is free) to 65535"),
        ("-p 65536", "-p: 65536 is not a TCP port, a number from 0 (any that is free) to 65535"),
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


def test_wrong_network(
    servers: list[FakeServer],
    key_file: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What the server says of networks is an error of usage that names the option."""
    monkeypatch.setattr(FakeServer, "error", ValueError("'x' does not appear to be a network"))

    assert main(["-S", "-k", key_file, "-a", "x"]) == 2
    assert capsys.readouterr().err == "easycluster: -a: 'x' does not appear to be a network\n"


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
        assert main(arguments) == 1
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


# Neither.


def test_nothing_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a task the help is printed to standard error, as for a wrong command line."""
    assert main([]) == 2
    found = capsys.readouterr()
    assert found.out == ""
    assert "usage: easycluster" in found.err
    assert f"port {DEFAULT_PORT}" in found.err


@pytest.mark.parametrize(
    ("words", "status", "text"),
    [
        ("--version", 0, f"easycluster {VERSION}"),
        ("--help", 0, "examples:"),
        ("--no-such-option", 2, "usage:"),
    ],
)
def test_options_that_end_the_command(
    words: str, status: int, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Version, help and unknown options end the command by themselves."""
    with pytest.raises(SystemExit) as left:
        main([words])
    found = capsys.readouterr()

    assert left.value.code == status
    assert text in found.out + found.err


def test_arguments_of_the_process(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without arguments those of the process are taken."""
    path = tmp_path / "new.key"
    monkeypatch.setattr("sys.argv", ["easycluster", "-g", str(path)])

    assert main() == 0
    assert path.exists()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-k", "secret.key"], "add -S to serve"),
        (["-p", "5", "-v"], "add -S to serve"),
        (["-O"], "add -g FILE"),
        (["-S", "-k", "secret.key", "-g", "new.key"], "make the key first, then serve with -k FILE"),
    ],
)
def test_options_without_a_purpose(
    capsys: pytest.CaptureFixture[str], servers: list[FakeServer], arguments: list[str], said: str
) -> None:
    """Options without the one that says what to do, or with both of these, are answered by what to write."""
    assert main(arguments) == 2

    captured = capsys.readouterr()
    assert said in captured.err
    assert (captured.err.count("\n"), captured.out, servers) == (1, "", [])


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.EADDRINUSE, "end the program that has the port, or choose another port with -p"),
        (errno.EACCES, "choose a port above 1023 with -p"),
        (errno.EADDRNOTAVAIL, "-b takes an address of this machine"),
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


def test_key_file_that_cannot_be_read(
    capsys: pytest.CaptureFixture[str], servers: list[FakeServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error of the key file gets no advice about ports."""

    def refuse(path: str) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", path)

    monkeypatch.setattr("easycluster_server._command_line.require_private", refuse)
    assert main(["-S", "-k", "secret.key"]) == 1

    assert capsys.readouterr().err == "easycluster: [Errno 13] Permission denied: 'secret.key'\n"
    assert not servers
