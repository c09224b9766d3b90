from __future__ import annotations

import os
import subprocess
from typing import NoReturn

import pytest

from easycluster_server._system.posix import umask as umask_module
from easycluster_server._system.posix.umask import read_umask


def raise_os_error(*arguments: object) -> NoReturn:
    """Take the place of a function that fails."""
    raise OSError(*arguments)


def test_umask_without_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no /proc a shell tells the umask."""
    monkeypatch.setattr(umask_module, "open", raise_os_error, raising=False)
    before = os.umask(0o037)
    try:
        assert read_umask() == 0o037
    finally:
        os.umask(before)


def test_umask_that_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system does not tell the umask, it is not passed on; nor is it touched."""
    monkeypatch.setattr(umask_module, "open", raise_os_error, raising=False)
    monkeypatch.setattr(subprocess, "check_output", raise_os_error)

    assert read_umask() is None
