"""Servers with several keys, lists and addresses, and SIGHUP, which lets them read keys and lists again."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from easycluster import AuthenticationError, Client, ConnectError, read_key_file
from easycluster_server._system.posix.proc import find_descendants, read_processes
from helpers.servers import Server, generate_key_file

Start = Callable[..., Server]


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Three key files."""
    return [generate_key_file(tmp_path / f"{number}.key") for number in range(3)]


def connects(server: Server, key: bytes, host: str = "127.0.0.1") -> bool:
    """Whether a client with this key gets in."""
    try:
        with Client(key, host, server.port) as client:
            return bool(client.eval("True"))
    except AuthenticationError:
        return False


def test_several_keys_and_sighup(tmp_path: Path, files: list[Path]) -> None:
    """The holders of each key get in; SIGHUP lets the server read the files again, open connections stay, and a
    file that cannot be read changes nothing."""
    keys = [read_key_file(path) for path in files]
    server = Server(tmp_path, "-k", files[0], "-k", files[1])
    try:
        assert [connects(server, key) for key in keys] == [True, True, False]
        with Client(keys[0], "127.0.0.1", server.port) as open_one:
            os.replace(files[2], files[0])
            server.process.send_signal(signal.SIGHUP)
            server.wait_for_log("keys that are valid now: 2")
            assert [connects(server, key) for key in keys] == [False, True, True]
            assert open_one.eval("1 + 1") == 2
        files[0].chmod(0o644)
        server.process.send_signal(signal.SIGHUP)
        server.wait_for_log(
            f"keys and lists stay as they were: other users can read or write the key file '{files[0]}'"
        )
        assert [connects(server, key) for key in keys] == [False, True, True]
    finally:
        server.stop()


def test_lists_of_the_file(tmp_path: Path, files: list[Path]) -> None:
    """SIGHUP reads the lists of the configuration file again, too."""
    config = tmp_path / "server.ini"
    config.write_text(f"[server]\nkeyfile = {files[0]}\n")
    server = Server(tmp_path, "--config", config)
    key = read_key_file(files[0])
    try:
        assert connects(server, key)
        config.write_text(f"[server]\nkeyfile = {files[0]}\nallow = 127.0.0.0/8\ndeny = 127.0.0.1\n")
        server.process.send_signal(signal.SIGHUP)
        server.wait_for_log("keys that are valid now: 1")
        with pytest.raises(ConnectError, match="cannot connect"):
            Client(key, "127.0.0.1", server.port)
        assert "refused: in a denied network" in server.wait_for_log("denied")
    finally:
        server.stop()


def test_several_addresses(start_server: Start, key: bytes) -> None:
    """A server listens on several addresses, and on no other."""
    server = start_server("-b", "127.0.0.1", "-b", "127.0.0.2")

    assert connects(server, key)
    assert connects(server, key, "127.0.0.2")
    with pytest.raises(ConnectError):
        connects(server, key, "127.0.0.3")


def test_number_of_connections(start_server: Start, key: bytes) -> None:
    """With as many connections as there may be, the next one is refused in plain words; then there is room again."""
    server = start_server("--max-connections", "2")
    first = Client(key, "127.0.0.1", server.port)
    with Client(key, "127.0.0.1", server.port) as second:
        with pytest.raises(ConnectError, match="the server has 2 connections, as many as it may"):
            Client(key, "127.0.0.1", server.port)
        server.wait_for_log("a connection was refused: the server has 2 connections")
        first.reconnect()
        first.close()
        with Client(key, "127.0.0.1", server.port) as third:
            assert second.eval("1 + 1") == third.eval("1 + 1") == 2


def find_key(pid: int, key: bytes) -> bool:
    """Whether a process has a key somewhere in its memory."""
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in maps:
            place, permissions = line.split()[:2]
            if permissions.startswith("rw") and "[v" not in line:
                start, end = (int(part, 16) for part in place.split("-"))
                memory.seek(start)
                try:
                    if key in memory.read(end - start):
                        return True
                except OSError:
                    pass
    return False


def test_where_keys_are(tmp_path: Path, files: list[Path]) -> None:
    """The listener alone has the key: it is in no command line, environment or log, and in the memory of no process
    of a connection."""
    key = bytes(read_key_file(files[0]))
    server = Server(tmp_path, "-k", files[0], "-v")
    try:
        with Client(key, "127.0.0.1", server.port) as client:
            environment: Any = client.eval("dict(__import__('os').environ)")
            pids = [each.pid for each in find_descendants(server.process.pid, read_processes())]
            assert len(pids) == 4  # fork server, keeper, guardian, worker
            for pid in [server.process.pid, *pids]:
                for name in ("cmdline", "environ"):
                    content = Path(f"/proc/{pid}/{name}").read_bytes()
                    assert key.hex().encode() not in content
                    assert key not in content
            assert [find_key(pid, key) for pid in [server.process.pid, *pids]] == [True] + [False] * 4
        assert key.hex() not in repr(environment) + server.whole_log
    finally:
        server.stop()
