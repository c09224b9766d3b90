"""Running a server: in which order files, server and readiness come; tests/integration/test_daemon.py has real ones."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from easycluster_server._standalone.running import run


class FakeServer:
    """Serves once, and notes what is there meanwhile.

    Args:
        folder: where its files are.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.seen: list[str] = []

    def serve(self) -> None:
        self.seen = sorted(path.name for path in self._folder.iterdir())


def start(folder: Path, **files: Any) -> tuple[FakeServer, list[object]]:
    """Run a server to its end; return it, and whom `on_ready` has seen."""
    server: Any = FakeServer(folder)
    ready: list[object] = []
    run(lambda: server, ready.append, **files)
    return server, ready


def test_plain(tmp_path: Path) -> None:
    """A server is made, is ready, and serves."""
    server, ready = start(tmp_path)

    assert ready == [server]
    assert server.seen == []


def test_files(tmp_path: Path) -> None:
    """The file of its number is there while it serves, and its profile after that."""
    server, _ = start(tmp_path, pidfile=str(tmp_path / "pid"), profile=str(tmp_path / "profile"))

    assert server.seen == ["pid"]
    assert [path.name for path in tmp_path.iterdir()] == ["profile"]


@pytest.mark.parametrize("name", ["log", "pidfile", "profile"])
def test_impossible_file(tmp_path: Path, name: str) -> None:
    """A file that cannot be written is an error before a server is made."""

    def make() -> Any:
        raise AssertionError("a server was made")

    arguments: dict[str, Any] = {name: str(tmp_path / "missing" / "file")}

    with pytest.raises(FileNotFoundError, match="missing"):
        run(make, print, **arguments)


def test_failing_server(tmp_path: Path) -> None:
    """The error of a server that cannot be made comes out, and the file of its number goes."""

    def fail() -> Any:
        assert (tmp_path / "pid").read_text() == f"{os.getpid()}\n"
        raise OSError("cannot listen")

    with pytest.raises(OSError, match="cannot listen"):
        run(fail, print, pidfile=str(tmp_path / "pid"))
    assert list(tmp_path.iterdir()) == []
