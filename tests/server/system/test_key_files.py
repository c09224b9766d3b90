from __future__ import annotations

from pathlib import Path

import pytest

from easycluster_protocol.errors import KeyFileError
from easycluster_server._system.key_files import find_danger, require_private
from easycluster_server._system.windows import key_files as windows


def test_danger(tmp_path: Path) -> None:
    """A key file that is in danger is refused with the words that describe the danger."""
    path = tmp_path / "x.key"
    path.touch(0o600)
    require_private(path)
    path.chmod(0o644)

    with pytest.raises(KeyFileError) as caught:
        require_private(path)

    assert str(caught.value) == find_danger(path)


def test_folder(tmp_path: Path) -> None:
    """For a folder nobody is told to change its permissions: reading it fails by itself."""
    tmp_path.chmod(0o777)

    require_private(tmp_path)


def test_windows(tmp_path: Path) -> None:
    """On Windows, where modes are made up, every file passes."""
    path = tmp_path / "x.key"
    path.touch(0o644)

    assert windows.find_danger(path) is None
