from __future__ import annotations

import grp
import os
import shlex
from pathlib import Path

import pytest

from easycluster_protocol.errors import KeyFileError
from easycluster_server._system.key_files import find_danger, require_private
from easycluster_server._system.posix import key_files

#: Some user who is neither root nor the one that runs the tests.
STRANGER = 54321


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A key file that nobody else can read, in a folder of its own."""
    folder = tmp_path / "folder"
    folder.mkdir(0o755)
    path = folder / "x.key"
    path.touch(0o600)
    return path


@pytest.mark.parametrize("mode", [0o400, 0o600, 0o700, 0o611])
def test_private_modes(tmp_path: Path, mode: int) -> None:
    """A file that only its owner can read and write is private."""
    path = tmp_path / "x.key"
    path.touch()
    path.chmod(mode)

    require_private(path)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o620, 0o602, 0o666])
@pytest.mark.parametrize("name", ["x.key", "my key's.key"])
def test_modes_that_are_not_private(tmp_path: Path, mode: int, name: str) -> None:
    """A file that others can read or write is refused, with the command that mends it."""
    path = tmp_path / name
    path.touch()
    path.chmod(mode)

    with pytest.raises(KeyFileError) as caught:
        require_private(path)

    message = str(caught.value)
    assert f"{mode:04o}" in message
    assert shlex.split(message[message.index("chmod") :]) == ["chmod", "600", str(path)]


def test_the_command_for_a_name_like_an_option(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command that mends a file works for a name that begins with a hyphen."""
    monkeypatch.chdir(tmp_path)
    Path("-x.key").touch()
    Path("-x.key").chmod(0o644)

    with pytest.raises(KeyFileError, match=r"chmod 600 \./-x\.key$"):
        require_private("-x.key")


def test_a_link_is_as_private_as_its_target(tmp_path: Path) -> None:
    """A symbolic link to a key file is followed, as reading it is."""
    path = tmp_path / "x.key"
    path.touch()
    path.chmod(0o644)
    (tmp_path / "link").symlink_to(path)

    with pytest.raises(KeyFileError, match="chmod 600"):
        require_private(tmp_path / "link")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """A missing file is the error that `open` raises, which names it."""
    with pytest.raises(FileNotFoundError, match=r"none\.key"):
        require_private(tmp_path / "none.key")


def test_a_file_of_another_user(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that belongs to somebody else is refused by the owner's name or number; one of root's is not."""
    owner = path.stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: STRANGER)
    if owner == 0:
        assert find_danger(path) is None
    real = os.stat

    def stat_of_stranger(name: str) -> os.stat_result:
        fields = list(real(name))
        fields[4] = STRANGER + 1
        return os.stat_result(fields)

    monkeypatch.setattr(os, "stat", stat_of_stranger)

    danger = find_danger(path)

    assert danger is not None
    assert f"belongs to another user, {STRANGER + 1}, who can" in danger
    assert shlex.split(danger[danger.index("chown") :]) == ["chown", str(STRANGER), str(path)]


@pytest.mark.parametrize("depth", [0, 1])
def test_a_folder_in_which_everybody_can_write(path: Path, depth: int) -> None:
    """Whoever can write in a folder above a key file can replace it, unless the folder is sticky as /tmp is."""
    folder = path.parents[depth]
    folder.chmod(0o777)

    with pytest.raises(KeyFileError) as caught:
        require_private(path)
    folder.chmod(0o1777)

    message = str(caught.value)
    assert "(mode 0777)" in message
    assert shlex.split(message[message.index("chmod") :]) == ["chmod", "o-w", str(folder)]
    assert find_danger(path) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give folders away")
def test_a_folder_of_another_user(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever owns a folder above a key file can replace the file, sticky or not; unless the system does not tell."""
    os.chown(path.parent, STRANGER, 0)
    path.parent.chmod(0o1755)

    danger = find_danger(path) or ""

    assert f"its folder {str(path.parent)!r} belongs to {STRANGER}" in danger
    assert shlex.split(danger[danger.index("chown") :]) == ["chown", "root", str(path.parent)]
    monkeypatch.setattr(key_files, "_is_mapped", lambda uid: False)
    assert find_danger(path) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give folders to any group")
def test_a_folder_in_which_a_group_can_write(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So can a group, but for the one that a user has alone."""
    path.parent.chmod(0o775)
    assert find_danger(path) is None
    os.chown(path.parent, 0, STRANGER)

    danger = find_danger(path) or ""

    assert f"the group {STRANGER} can write in its folder {str(path.parent)!r} (mode 0775)" in danger
    assert shlex.split(danger[danger.index("chmod") :]) == ["chmod", "g-w", str(path.parent)]
    os.chown(path.parent, 0, 0)
    monkeypatch.setattr(grp, "getgrgid", lambda gid: grp.struct_group(("root", "x", 0, ["ann"])))
    assert "the group root can write" in (find_danger(path) or "")


def test_the_folder_of_a_link_and_of_its_target(path: Path, tmp_path: Path) -> None:
    """Both folders count: the link can be replaced as well as the file."""
    folder = tmp_path / "links"
    folder.mkdir()
    link = folder / "link.key"
    link.symlink_to(path)
    assert find_danger(link) is None
    for each in (folder, path.parent):
        each.chmod(0o777)
        assert f"its folder {str(each)!r}" in (find_danger(link) or "")
        each.chmod(0o755)


def test_a_pipe_of_a_shell_is_private() -> None:
    """A key that comes through a pipe has no folder that others could write in."""
    reading, writing = os.pipe()
    try:
        assert find_danger(f"/dev/fd/{reading}") is None
    finally:
        os.close(reading)
        os.close(writing)
