"""A connection's process takes the client's code, or refuses it."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from easycluster_protocol._handshake.hello import Agreement, Hello
from easycluster_protocol._handshake.upgrade import find_start, pack_code
from easycluster_protocol.errors import ConnectError
from easycluster_server._io.tls_server_files import ServerFiles
from easycluster_server._processes import upgrade
from easycluster_server._system.output import standard_error

CODE_KEY = bytes(32)
RECORDED = Path(__file__).parents[2] / "data" / "upgrade"


@pytest.fixture(autouse=True)
def prefix_restored(monkeypatch: pytest.MonkeyPatch) -> None:
    """The log of a connection is that of a process of its own, elsewhere."""
    monkeypatch.setattr(standard_error, "prefix", standard_error.prefix)


class _Replaced(BaseException):
    """Stands where the process would be another one."""


@pytest.fixture
def replaced(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What this process would have become."""
    noted: list[Any] = []

    def replace_process(*arguments: Any) -> None:
        noted.extend(arguments)
        raise _Replaced

    monkeypatch.setattr(upgrade, "replace_process", replace_process)
    return noted


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """The client's end of a connection and the server's."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def make_config(**more: Any) -> Any:
    """The configuration that the listener makes."""
    agreement = Agreement(Hello(), 5, True, b"c" * 32, b"s" * 32, b"n" * 16)
    return {
        "agreement": agreement,
        "welcome": b"WELCOME",
        "peer": "192.0.2.1:5",
        "code_key": CODE_KEY,
        **more,
    }


def test_code_is_taken(pair: tuple[socket.socket, socket.socket], replaced: list[Any]) -> None:
    """The client is welcomed, and not a byte behind its code is read; the code gets what was agreed."""
    ours, theirs = pair
    ours.sendall(pack_code(CODE_KEY, "line", b"bundle") + b"behind")
    with pytest.raises(_Replaced):
        upgrade.become_clients_code(make_config(leftover=b"", verbosity=2), theirs)

    assert ours.recv(100) == b"WELCOME"
    assert theirs.recv(100) == b"behind"
    line, bundle, session, descriptor = replaced
    assert (line, bundle, descriptor) == ("line", b"bundle", theirs.fileno())
    assert json.loads(session)["verbosity"] == 2


def test_what_came_early_belongs_to_the_code(
    pair: tuple[socket.socket, socket.socket], replaced: list[Any]
) -> None:
    """Bytes that came together with the end of the handshake are the beginning of the code."""
    ours, theirs = pair
    packed = pack_code(CODE_KEY, "line", b"bundle")
    ours.sendall(packed[50:])
    with pytest.raises(_Replaced):
        upgrade.become_clients_code(make_config(leftover=packed[:50]), theirs)

    assert replaced[1] == b"bundle"


def test_what_the_code_is_told_never_changes() -> None:
    """Whatever servers have told is still told, by the same names; the recorded session is that of the first version."""
    config = make_config(verbosity=1, profile="/p")
    check_told(config, "session.json")
    config["agreement"] = Agreement(Hello(), 5, True, None, None, b"n" * 16)
    config["agreement"].tls = "tls-cert", b"t" * 32
    check_told({**config, "tls": ServerFiles("/cert.pem", None, "/ca.pem")}, "session-tls.json")


def check_told(config: Any, name: str) -> None:
    """What is told has all that was recorded."""
    recorded = json.loads((RECORDED / name).read_text())
    told = json.loads(upgrade.describe_session(config))
    assert {**told, "server": recorded["server"], **recorded} == {**told, "server": recorded["server"]}


def refuse(pair: tuple[socket.socket, socket.socket], sent: bytes) -> str:
    """Let a server refuse what was sent; return what the client hears of it."""
    ours, theirs = pair
    ours.sendall(sent)
    ours.shutdown(socket.SHUT_WR)
    assert upgrade.become_clients_code(make_config(welcome=b""), theirs) == 1
    theirs.close()
    data = b"".join(iter(lambda: ours.recv(4096), b""))
    with pytest.raises(ConnectError) as caught:
        find_start(data, b"marker")
    return str(caught.value)


def test_a_flipped_bit_is_refused(
    pair: tuple[socket.socket, socket.socket], replaced: list[Any], capfd: pytest.CaptureFixture[str]
) -> None:
    """The client hears why, the log has one line, and nothing runs."""
    packed = bytearray(pack_code(CODE_KEY, "line", b"bundle"))
    packed[-1] ^= 1

    assert "the client's code was changed on its way" in refuse(pair, bytes(packed))
    (line,) = capfd.readouterr().err.splitlines()
    assert line.endswith("easycluster: 192.0.2.1:5 was refused: the client's code was changed on its way")
    assert replaced == []


def test_a_client_that_leaves(pair: tuple[socket.socket, socket.socket], replaced: list[Any]) -> None:
    """A client that leaves in the middle of its code is no error of the server."""
    assert "left before all of its code had come" in refuse(pair, pack_code(CODE_KEY, "line", b"")[:-1])
    assert replaced == []


def test_a_slow_client(
    pair: tuple[socket.socket, socket.socket], replaced: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The code has to come in time."""
    monkeypatch.setattr(upgrade, "CODE_SECONDS", 0.0)
    assert "did not come within 0 s" in refuse(pair, b"")
    assert replaced == []


def test_a_python_that_cannot_be_started(
    pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client hears that there is no process for its code."""

    def replace_process(*_: object) -> None:
        raise FileNotFoundError(2, "No such file or directory", "/gone/python")

    monkeypatch.setattr(upgrade, "replace_process", replace_process)
    assert "/gone/python" in refuse(pair, pack_code(CODE_KEY, "line", b""))
