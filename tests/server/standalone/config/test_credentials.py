"""Files that only the server may read."""

from __future__ import annotations

import re

from easycluster_server._standalone.config.credentials import find_secret_files, name_credential
from easycluster_server._standalone.config.settings import Settings


def test_secret_files() -> None:
    """The key file is one, other files are none."""
    assert find_secret_files(Settings({"keyfile": "/etc/x.key", "pidfile": "/run/x.pid"})) == ["/etc/x.key"]
    assert find_secret_files(Settings({})) == []


def test_names() -> None:
    """A name tells of its file, fits a file system, and belongs to one file only."""
    assert name_credential("/etc/easycluster/server.key") == "etc-easycluster-server.key"
    paths = [
        "/etc/a:b",
        "/etc/a-b.key",
        "/etc/a/b:key",
        "/a/etc/b.key",
        "/etc/a_b",
        "/etc/a b",
        "/etc/a/b",
        "/etc/a-b",
        "/etc/a--b",
        "/etc/a-/b",
        "/etc/a/-b",
        "/etc/ä",
    ]
    paths += [f"/{end}{'x' * 300}" for end in "ab"]
    paths += [f"/{name_credential(path)}" for path in paths if "+" in name_credential(path)]
    names = [name_credential(path) for path in paths]

    assert len(set(names)) == len(names)
    assert all(re.fullmatch("[A-Za-z0-9._+-]{1,200}", name) for name in names)
