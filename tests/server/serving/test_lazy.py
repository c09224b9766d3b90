from __future__ import annotations

import _imp
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from easycluster_server._serving import lazy
from helpers.states import forget_module

NAME = "ec_test_late"


@pytest.fixture(autouse=True)
def clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A folder from which modules are imported, and which leaves none behind."""
    monkeypatch.syspath_prepend(tmp_path)
    yield
    forget_module(NAME)


def test_imported_in_another_thread(tmp_path: Path) -> None:
    """A module is imported once, and not in the thread that asks for it."""
    (tmp_path / f"{NAME}.py").write_text("import threading\nthread = threading.get_ident()\n")
    module = lazy.load(NAME)

    assert module.thread != threading.get_ident()
    assert lazy.load(NAME) is module is sys.modules[NAME]


def test_import_that_fails(tmp_path: Path) -> None:
    """What importing a module raises is raised, each time."""
    (tmp_path / f"{NAME}.py").write_text("raise KeyError('on purpose')\n")
    for _ in range(2):
        with pytest.raises(KeyError, match="on purpose"):
            lazy.load(NAME)


def test_import_lock_that_an_interrupt_left(tmp_path: Path) -> None:
    """Python's import lock, which a signal handler that raises may leave to the main thread, is given back."""
    (tmp_path / f"{NAME}.py").write_text("value = 3\n")
    _imp.acquire_lock()
    _imp.acquire_lock()

    assert lazy.load(NAME).value == 3
    assert not _imp.lock_held()


def test_no_more_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system has no more threads the module is imported all the same."""

    def refuse(*arguments: object) -> None:
        raise RuntimeError("can't start new thread")

    (tmp_path / f"{NAME}.py").write_text("value = 3\n")
    monkeypatch.setattr("_thread.start_new_thread", refuse)

    assert lazy.load(NAME).value == 3
