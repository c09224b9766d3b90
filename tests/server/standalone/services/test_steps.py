"""Steps: what they say, that they do it, and that doing it again changes nothing."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

import pytest

from easycluster_protocol.keys import generate_key, read_key_file, write_key_file
from easycluster_server._standalone.services.steps import (
    MakeFolder,
    Remove,
    Run,
    ServiceError,
    Step,
    WriteFile,
    WriteKey,
    perform_all,
    quote,
    run_command,
)


def perform_twice(step: Step) -> str:
    """Perform a step, and see that it has nothing to do then."""
    done = step.perform()
    assert step.perform() == ""
    return done


def test_make_folder(tmp_path: Path) -> None:
    """A folder is made with those above it, for everybody to look into."""
    path = tmp_path / "a" / "b"
    step = MakeFolder(str(path))

    assert step.describe() == f"make the folder {path}"
    assert perform_twice(step) == f"made the folder {path}"
    assert path.is_dir()


def test_write_file(tmp_path: Path) -> None:
    """A file is written with its permissions, and again only if something else is in it."""
    path = tmp_path / "new" / "unit"
    step = WriteFile(str(path), "[Unit]\n\nx = ä\n", 0o640)

    assert step.describe() == f"write {path} (mode 0640):\n    [Unit]\n\n    x = ä"
    assert perform_twice(step) == f"wrote {path}"
    assert path.read_text("utf-8") == "[Unit]\n\nx = ä\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    path.write_text("other")
    assert perform_twice(step) == f"wrote {path}"
    assert list(path.parent.iterdir()) == [path]


def test_write_file_beside_a_planted_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No link of a name that can be foreseen is followed; a file that could not be put in its place leaves nothing."""
    path, other = tmp_path / "unit", tmp_path / "other"
    other.write_text("untouched")
    Path(f"{path}.new").symlink_to(other)
    WriteFile(str(path), "text").perform()

    assert other.read_text() == "untouched"
    assert path.read_text() == "text"

    def fail(*_: object) -> None:
        raise PermissionError(1, "no")

    before = sorted(tmp_path.iterdir())
    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(PermissionError):
        WriteFile(str(path), "new text").perform()
    assert sorted(tmp_path.iterdir()) == before


def test_new_key(tmp_path: Path) -> None:
    """A key is made unless there is one, or another is wanted."""
    path = tmp_path / "server.key"
    step = WriteKey(str(path))

    assert step.describe() == f"write a new key to {path} (mode 0600), unless it exists"
    assert perform_twice(step) == f"wrote a new key to {path}; masters need the same file"
    key = read_key_file(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again = WriteKey(str(path), overwrite=True)
    assert again.describe() == f"write a new key to {path} (mode 0600)"
    again.perform()
    assert read_key_file(path) != key


def test_given_key(tmp_path: Path) -> None:
    """A key that is given is written, whatever was there; no text shows it."""
    path, key = tmp_path / "server.key", generate_key()
    write_key_file(path, generate_key())
    step = WriteKey(str(path), key, "mine.key")

    assert step.describe() == f"write the key of mine.key to {path} (mode 0600)"
    assert perform_twice(step) == f"wrote the key of mine.key to {path}"
    assert read_key_file(path) == key


def test_remove(tmp_path: Path) -> None:
    """A file, and a folder that is empty, are removed; a folder that holds something stays."""
    folder, file = tmp_path / "folder", tmp_path / "folder" / "file"
    folder.mkdir()
    file.touch()

    assert Remove(str(folder)).perform() == ""
    assert perform_twice(Remove(str(file))) == f"removed {file}"
    assert Remove(str(folder)).describe() == f"remove {folder}"
    assert perform_twice(Remove(str(folder))) == f"removed {folder}"


def test_run(tmp_path: Path) -> None:
    """A program is run unless its work is done."""
    path = tmp_path / "a file"
    step = Run("touch", str(path), unless=path.exists)

    assert step.describe() == f"run: touch '{path}'"
    assert perform_twice(step) == f"ran: touch '{path}'"
    assert path.exists()


def test_failing_program() -> None:
    """What a program says when it fails is the error, or a line where that is no harm."""
    words = (sys.executable, "-c", "import sys; print('first'); sys.exit('second')")

    with pytest.raises(ServiceError, match="failed: .*first; second|failed: .*second; first"):
        Run(*words).perform()
    assert "second" in Run(*words, may_fail=True).perform()
    with pytest.raises(ServiceError, match="failed: exit status 1"):
        Run("false").perform()


def test_missing_program() -> None:
    """A program that the system lacks is named."""
    assert run_command(("no-such-program",)) == (127, "there is no program no-such-program")
    assert quote(["a b", "c"]) == "'a b' c"


def test_all(tmp_path: Path) -> None:
    """Steps are performed in their order, those that change something are told, and the first error ends it."""
    told: list[str] = []
    steps = [
        MakeFolder(str(tmp_path)),
        MakeFolder(str(tmp_path / "a")),
        Run("false"),
        MakeFolder(str(tmp_path / "b")),
    ]

    assert perform_all(steps[:2], told.append)
    assert not perform_all(steps[:2], told.append)
    assert told == [f"made the folder {tmp_path / 'a'}"]
    with pytest.raises(ServiceError):
        perform_all(steps, told.append)
    assert not (tmp_path / "b").exists()
