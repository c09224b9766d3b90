"""The user that is made for a service."""

from __future__ import annotations

import getpass
import os
from pathlib import Path

import pytest

from easycluster_server._standalone.services import users


def test_making() -> None:
    """Only the user of our own name is made."""
    (step,) = users.make_user("easycluster")

    assert step.describe().startswith("run: useradd --system ")
    assert users.make_user("ann") == []


@pytest.mark.parametrize(
    ("comment", "home", "stays"),
    [
        ("EasyCluster server", False, False),
        ("EasyCluster server", True, True),
        ("somebody", False, True),
        (None, False, True),
    ],
)
def test_removing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, comment: str | None, home: bool, stays: bool
) -> None:
    """A user is removed if it was made for the service, and has left nothing in its home."""
    place = tmp_path / "home"
    if home:
        (place / "data").mkdir(parents=True)
    monkeypatch.setattr(users, "HOME", str(place))
    monkeypatch.setattr(users, "find_comment", lambda name: comment)
    ran: list[object] = []

    def note(command: object) -> tuple[int, str]:
        ran.append(command)
        return 0, ""

    monkeypatch.setattr("easycluster_server._standalone.services.steps.run_command", note)
    for step in users.remove_user():
        step.perform()

    assert ran == ([] if stays else [("userdel", "easycluster")])


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
