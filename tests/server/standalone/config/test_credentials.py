"""Files that only the server may read."""

from __future__ import annotations

from easycluster_server._standalone.config.credentials import find_secret_files, name_credential
from easycluster_server._standalone.config.settings import Settings


def test_secret_files() -> None:
    """The key file is one, other files are none."""
    assert find_secret_files(Settings({"keyfile": "/etc/x.key", "pidfile": "/run/x.pid"})) == ["/etc/x.key"]
    assert find_secret_files(Settings({})) == []


def test_names() -> None:
    """Copies of different files have different names, which are names of files."""
    paths = ["/etc/a/b.key", "/etc/a-b.key", "/etc/a/b:key", "/a/etc/b.key"]
    names = {name_credential(path) for path in paths}

    assert name_credential(paths[0]) == "etc-a-b.key"
    assert len(names) == len(paths)
    assert not any("/" in name or ":" in name for name in names)
