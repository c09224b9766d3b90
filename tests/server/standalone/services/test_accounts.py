"""The user that is made for services, by the programs of each kind of system."""

from __future__ import annotations

import getpass
import os
from pathlib import Path

import pytest

from easycluster_server._standalone.services import accounts, users
from easycluster_server._standalone.services.accounts import make_account, make_user, own, remove_account
from easycluster_server._standalone.services.steps import Step

ALL = {
    "useradd": accounts.USERADD,
    "busybox": accounts.BUSYBOX,
    "pw": accounts.PW,
    "solaris": accounts.SOLARIS,
}


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The programs that were run; all succeed and change nothing."""
    ran: list[str] = []

    def run_command(command: tuple[str, ...]) -> tuple[int, str]:
        ran.append(command[0])
        return 0, ""

    monkeypatch.setattr("easycluster_server._standalone.services.steps.run_command", run_command)
    return ran


def perform_commands(steps: list[Step]) -> None:
    """Perform the steps that run programs."""
    for step in steps:
        if step.describe().startswith("run:") and "chown" not in step.describe():
            step.perform()


@pytest.mark.parametrize("name", ALL)
def test_made_and_removed(name: str, ran: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The user is made if it does not exist, and removed if it was made so and has no home any more."""
    monkeypatch.setattr(users, "HOME", "/nowhere/at/all")
    makes = [command[0] for command in ALL[name].make]
    removes = [command[0] for command in ALL[name].remove]
    for comment, expected in ((None, makes), (users.COMMENT, removes), ("someone else", [])):
        ran.clear()
        monkeypatch.setattr(accounts, "find_comment", lambda user, comment=comment: comment)
        perform_commands([*make_account(ALL[name], users.NAME), *remove_account(ALL[name])])
        assert ran == expected


@pytest.mark.parametrize("name", ALL)
def test_a_full_home_stays_with_its_user(
    name: str, ran: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: os.PathLike[str]
) -> None:
    """A user whose home has something in it is not removed."""
    monkeypatch.setattr(users, "HOME", str(tmp_path))
    monkeypatch.setattr(accounts, "find_comment", lambda user: users.COMMENT)

    perform_commands(remove_account(ALL[name]))

    assert ran == []


def test_other_users_stay() -> None:
    """A user that was named is not made."""
    assert make_account(accounts.USERADD, "bob") == []


def test_making() -> None:
    """Only the user of our own name is made."""
    (step,) = make_user(accounts.USERADD, "easycluster")

    assert step.describe().startswith("run: useradd --system ")
    assert make_user(accounts.USERADD, "ann") == []


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
    monkeypatch.setattr(accounts, "find_comment", lambda name: comment)
    ran: list[object] = []

    def note(command: object) -> tuple[int, str]:
        ran.append(command)
        return 0, ""

    monkeypatch.setattr("easycluster_server._standalone.services.steps.run_command", note)
    for step in remove_account(accounts.USERADD):
        step.perform()

    assert ran == ([] if stays else [("userdel", "easycluster")])


def test_own(tmp_path: os.PathLike[str], ran: list[str]) -> None:
    """A file is given to a user unless it belongs to that user, or does not exist."""
    own(getpass.getuser(), str(tmp_path)).perform()
    own("root", f"{tmp_path}/none").perform()
    assert ran == []

    own("nobody", str(tmp_path)).perform()
    assert ran == ["chown"]
