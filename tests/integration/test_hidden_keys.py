"""Keys in stack traces with local variables, as rich, pytest -l and error reporters print them."""

from __future__ import annotations

import hashlib
import io
import socket
import traceback
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest
from rich.console import Console
from rich.traceback import Traceback

import easycluster
from easycluster import (
    Client,
    ThreadedClient,
    decode_key,
    key_from_options,
    parse_connection_spec,
    read_key_file,
    write_key_file,
)
from easycluster.parallel import connect_all
from easycluster.server import Server, run_server
from helpers.servers import Server as RunningServer

TEXT = "correct horse battery staple"
KEY = b"0123456789abcdefghijklmnopqrstuv"
PACKAGES = str(Path(easycluster.__file__).parents[2].parent)
SECRETS = (TEXT, KEY.decode(), KEY.hex(), repr(bytes(decode_key(TEXT)))[2:-1])


def ours(trace: TracebackType | None) -> TracebackType | None:
    """A stack trace from our first frame on: the frames above are the test's, which knows the key."""
    while trace is not None and not trace.tb_frame.f_code.co_filename.startswith(PACKAGES):
        trace = trace.tb_next
    return trace


def show(error: BaseException) -> str:
    """All that stack traces with locals say of an error and of the errors behind it."""
    said = ""
    link: BaseException | None = error
    while link is not None:
        trace = ours(link.__traceback__)
        if trace is not None:
            console = Console(file=io.StringIO(), width=400)
            frames = Traceback.extract(type(link), link, trace, show_locals=True, locals_max_string=10)
            console.print(Traceback(frames, show_locals=True))
            said += console.file.getvalue()  # type: ignore[attr-defined]
            said += "".join(
                traceback.StackSummary.extract(traceback.walk_tb(trace), capture_locals=True).format()
            )
        while trace is not None:
            for value in trace.tb_frame.f_locals.values():
                said += repr(getattr(value, "__dict__", None))
            trace = trace.tb_next
        link = link.__cause__ or link.__context__
    return said


def check(error: BaseException) -> None:
    """Make sure that an error has frames of ours, and that they show no key."""
    shown = show(error)
    assert PACKAGES in shown
    for secret in SECRETS:
        assert not any(secret[at : at + 8] in shown for at in range(len(secret) - 7))


def spoil(*_: object) -> bytes:
    """Stands where PBKDF2 is, and is interrupted."""
    raise KeyboardInterrupt


def closed_port() -> int:
    """A port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def options(**given: str) -> Any:
    """The options of a command line."""
    return type("Options", (), {"key": None, "keyfile": None, **given})()


FAILING: dict[str, Callable[[Path], object]] = {
    "spec, no server": lambda _: Client.from_spec(f"127.0.0.1:{closed_port()}:key={TEXT}"),
    "spec, threaded": lambda _: ThreadedClient.from_spec(f"127.0.0.1:{closed_port()}:key={TEXT}"),
    "key, no server": lambda _: Client(KEY, "127.0.0.1", closed_port()),
    "default key": lambda _: Client.from_spec(f"127.0.0.1:{closed_port()}", default_key=KEY),
    "malformed after the key": lambda _: parse_connection_spec(f"host:key={TEXT}:compress=perhaps"),
    "unknown option after the key": lambda _: parse_connection_spec(f"host:key={TEXT}:nothing=1"),
    "bytes as a spec": lambda _: Client.from_spec(KEY),  # type: ignore[arg-type]
    "a spec as a key": lambda _: Client(f"host:key={TEXT}"),  # type: ignore[arg-type]
    "a key as a host": lambda _: Client(KEY, KEY),  # type: ignore[arg-type]
    "a text as bytes": lambda _: Client(TEXT.encode(), "127.0.0.1"),
    "surrogate": lambda _: decode_key(f"{TEXT}\ud800"),
    "surrogate in a spec": lambda _: parse_connection_spec(f"host:key={TEXT}\ud800"),
    "both options": lambda _: key_from_options(options(key=TEXT, keyfile="x")),
    "no text in a file": lambda folder: read_key_file(write(folder / "x", TEXT.encode() + b"\xff")),
    "no text in the file of a spec": lambda folder: Client.from_spec(
        f"host:kf={write(folder / 'x', TEXT.encode() + bytes(1))}"
    ),
    "a wrong size is written": lambda folder: write_key_file(folder / "x", KEY + KEY),
    "a folder that is missing": lambda folder: write_key_file(folder / "none" / "x", KEY, overwrite=True),
    "key and path exchanged": lambda _: write_key_file(KEY, "x"),  # type: ignore[arg-type]
    "one spec for many hosts": lambda _: connect_all(f"host:key={TEXT}"),
    "bytes for many hosts": lambda _: connect_all(KEY),  # type: ignore[arg-type]
    "a server without a port": lambda _: Server(70000, KEY, "127.0.0.1"),
    "run_server": lambda _: run_server(70000, KEY, "127.0.0.1"),
    "a text for a server": lambda _: Server(0, TEXT),  # type: ignore[arg-type]
}


def write(path: Path, content: bytes) -> Path:
    """A file that nobody else can read."""
    path.touch(0o600)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("name", FAILING)
def test_stack_traces_with_locals(name: str, tmp_path: Path) -> None:
    """No frame of ours shows a key or its text when something goes wrong."""
    with pytest.raises((Exception,)) as caught:
        FAILING[name](tmp_path)

    check(caught.value)


@pytest.mark.parametrize("use", [decode_key, lambda text: parse_connection_spec(f"host:key={text}")])
def test_interrupts_while_a_text_is_stretched(
    use: Callable[[str], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C in the only slow step shows no key either."""
    monkeypatch.setattr(hashlib, "pbkdf2_hmac", spoil)
    with pytest.raises(KeyboardInterrupt) as caught:
        use(TEXT + " never seen")

    check(caught.value)


def test_a_server_that_refuses(tcp_server: RunningServer) -> None:
    """A wrong key, for one client or in the errors of many, shows in no frame."""
    spec = f"127.0.0.1:{tcp_server.port}:key={TEXT}"
    with pytest.raises(easycluster.AuthenticationError) as caught:
        Client.from_spec(spec)
    hosts = connect_all([spec])

    check(caught.value)
    check(hosts.errors[spec])


def test_messages_about_many_hosts() -> None:
    """Messages of `connect_all` quote a spec without its key."""
    spec = f"host:key={TEXT}"
    for wrong in (spec, [spec, spec]):
        with pytest.raises((TypeError, ValueError)) as caught:
            connect_all(wrong)
        assert "'host:key=***'" in str(caught.value)


def test_attributes(tcp_server: RunningServer, key: bytes) -> None:
    """`vars` of clients and servers, and of what they hold, show no key."""
    with Client(bytes(key), "127.0.0.1", tcp_server.port) as client:
        shown = repr(vars(client))
        address = vars(client)["_easycluster_address"]
    server = Server(0, bytes(key), "127.0.0.1")
    shown += repr(vars(server)) + repr(tuple(address))
    server.stop()
    server.serve()

    assert "<Key: not shown>" in shown
    assert repr(bytes(key))[2:12] not in shown


def test_keys_work_on_hosts(client: Any, key: bytes) -> None:
    """A key may go to a host as any bytes may, and back."""
    assert client.call("bytes.hex", key) == key.hex()
    assert client.call("dict", key=key)["key"] == key
    assert client.call("repr", key) == "<Key: not shown>"
