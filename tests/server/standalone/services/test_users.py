"""Facts about the users of services."""

from __future__ import annotations

import getpass
import os
from pathlib import Path

import pytest

from easycluster_server._standalone.services import users


def test_lingering(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user's services outlive the login if the system has a file of the user's name."""
    there = f"/var/lib/systemd/linger/{getpass.getuser()}"
    monkeypatch.setattr("os.path.exists", lambda path: path == there)
    assert users.does_linger()
    there = "/var/lib/systemd/linger/somebody"

    assert not users.does_linger()


def test_closed_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that others cannot look into is found, on the way of a symbolic link too."""
    closed, link = tmp_path / "closed", tmp_path / "link"
    closed.mkdir(0o700)
    (closed / "python").touch()
    link.symlink_to(closed / "python")
    assert users.find_closed_folder("/usr/bin/env") == ""
    real_stat = os.stat
    monkeypatch.setattr("os.stat", lambda path: real_stat(path if str(path).startswith(str(closed)) else "/"))
    assert users.find_closed_folder(str(closed / "python")) == str(closed)
    assert users.find_closed_folder(str(link)) == str(closed)
