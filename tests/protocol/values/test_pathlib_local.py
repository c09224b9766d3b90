"""Pickles of Python 3.13 that name a module which no other Python has."""

from __future__ import annotations

import inspect
import pathlib
import pickle
import sys
from types import ModuleType

import pytest

from easycluster_protocol._values import pathlib_local

#: ``pathlib.PurePosixPath("a/b")``, pickled by Python 3.13.0.
PATH = (
    b"\x80\x04\x95.\x00\x00\x00\x00\x00\x00\x00\x8c\x0epathlib._local\x94\x8c\rPurePosixPath\x94\x93\x94"
    b"\x8c\x03a/b\x94\x85\x94R\x94."
)

older = pytest.mark.skipif(sys.version_info >= (3, 13), reason="these know the module themselves")


@pytest.fixture(autouse=True)
def untold(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test before this one has told this Python."""
    if sys.version_info < (3, 13):
        monkeypatch.setitem(sys.modules, pathlib_local.NAME, ModuleType(pathlib_local.NAME))
        del sys.modules[pathlib_local.NAME]


@older
def test_unknown_before() -> None:
    """Without being told, this Python cannot read such a pickle."""
    with pytest.raises(ModuleNotFoundError):
        pickle.loads(PATH)


def test_paths_are_found() -> None:
    """A path becomes one of this Python's own, by either half of pickle."""
    pathlib_local.make_importable()
    values = [pickle.loads(PATH), pickle._loads(PATH)]  # type: ignore[attr-defined]  # the half in Python

    assert values == [pathlib.PurePosixPath("a/b")] * 2


@older
def test_stands_for_public_names_only() -> None:
    """Code that looks at all modules takes it for one without a file."""
    pathlib_local.make_importable()
    stand = sys.modules[pathlib_local.NAME]

    assert not hasattr(stand, "__file__")
    assert not hasattr(stand, "NoSuchName")
    assert inspect.getmodule(pathlib.PurePath.match) is pathlib


@pytest.mark.parametrize(("version", "expected"), [("3.13.0", True), ("3.12.13", False), ("3.14.0", False)])
def test_whose_pickles(version: str, expected: bool) -> None:
    """Only Python 3.13 names that module."""
    assert pathlib_local.is_needed_for(version) is expected
