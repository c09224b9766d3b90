"""``easycluster -g``: making keys."""

from __future__ import annotations

from pathlib import Path

import pytest

from easycluster_protocol.keys import generate_key, read_key_file, write_key_file
from easycluster_server._command_line import main


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
    assert f"there is no folder '{tmp_path / 'missing'}' for the key" in error
    assert error.count("\n") == 1
