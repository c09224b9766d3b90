from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from easycluster_server._processes import environment
from easycluster_server._processes.environment import describe_environment


def test_master_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A local worker is told environment, folder, umask and module path of its master."""
    monkeypatch.setenv("EASYCLUSTER_TEST_VALUE", "1")
    monkeypatch.chdir(tmp_path)
    before = os.umask(0o037)
    try:
        found = describe_environment()
    finally:
        os.umask(before)

    assert found == {
        "environ": dict(os.environ),
        "path": sys.path,
        "argv": [""],
        "cwd": str(tmp_path),
        "umask": 0o037,
    }


def test_umask_that_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system does not tell the umask, it is not passed on."""
    monkeypatch.setattr(environment, "read_umask", lambda: None)

    assert "umask" not in describe_environment()
