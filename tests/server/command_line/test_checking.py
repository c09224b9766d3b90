"""``--check``: everything that is wrong is said, one line for each."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from easycluster_protocol.keys import generate_key, write_key_file
from easycluster_server._command_line import main
from helpers.servers import Server


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    """A key file."""
    path = tmp_path / "mine.key"
    write_key_file(path, generate_key())
    return path


def check(*words: object) -> int:
    """Check settings on this machine alone."""
    return main(["--check", "-b", "127.0.0.1", *map(str, words)])


def test_in_order(place: Path, key_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is in order is said, and the port is free again."""
    assert check("-k", key_file, "-p", 0) == 0
    found = capsys.readouterr()
    assert found.err == ""
    assert "a server can listen on 127.0.0.1:" in found.out


def test_installed_service(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without other words it is the installed service that is checked."""
    main(["--install", "-p", "0", "-b", "127.0.0.1"])
    capsys.readouterr()

    assert main(["--check"]) == 0
    assert f"settings: {place / 'etc' / 'server.ini'}\n" in capsys.readouterr().out
    (place / "etc" / "server.ini").write_text("[server]\nport = http\n")
    assert main(["--check"]) == 1
    assert "[server] port: http is not a TCP port" in capsys.readouterr().err


def test_all_that_is_wrong(place: Path, key_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One problem does not hide another."""
    key_file.chmod(0o644)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert check("-k", key_file, "-p", taken.getsockname()[1]) == 1

    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert "chmod 600" in lines[0]
    assert "in use" in lines[1]


def test_all_that_is_wrong_in_a_file(place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each line of a file that is wrong is named."""
    path = tmp_path / "bad.ini"
    path.write_text("[server]\nprot = 5\nnice = lots\n[sevrice]\nstrict = yes\n")

    assert check("--config", path) == 1
    first, second, third = capsys.readouterr().err.splitlines()
    assert "[server] has no key 'prot'" in first
    assert "[server] nice: lots is not a niceness" in second
    assert "there is no section [sevrice]" in third


def test_missing_file(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A configuration file that is not there is the one problem."""
    assert check("--config", "/no/such.ini") == 1
    assert "/no/such.ini" in capsys.readouterr().err


@pytest.mark.integration
def test_running_server(
    place: Path, key_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A port that is taken by a server with this key is in order; one with another key is not."""
    server = Server(tmp_path, "-k", key_file)
    other = tmp_path / "other.key"
    write_key_file(other, generate_key())
    try:
        assert check("-k", key_file, "-p", server.port) == 0
        assert f"a server with this key answers on port {server.port}" in capsys.readouterr().out
        assert check("-k", other, "-p", server.port) == 1
        assert "it is no server with this key: " in capsys.readouterr().err
    finally:
        server.stop()
