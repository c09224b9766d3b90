"""What is made of sources is kept beside Python's bytecode, and made anew when it should be."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from easycluster_client._ssh import bundle_cache
from easycluster_client._ssh.bundle_cache import cached

Ask = Callable[[], bytes]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package of one module; what is kept lies in the folder ``kept``."""
    monkeypatch.setattr(sys, "pycache_prefix", str(tmp_path / "kept"))
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.syspath_prepend(str(tmp_path))
    package = tmp_path / "of_the_test"
    package.mkdir()
    (package / "__init__.py").write_text("first")
    yield package
    sys.path_importer_cache.clear()


@pytest.fixture
def ask(package: Path) -> Ask:
    """Asks for what is made of the package: the number of times that it had to be made."""
    made: list[int] = []

    def make() -> bytes:
        made.append(1)
        return b"made %d" % len(made)

    return lambda: cached("test", ["of_the_test"], make)


def files(package: Path) -> list[Path]:
    """What is kept."""
    return [path for path in (package.parent / "kept").rglob("*") if path.is_file()]


def test_made_once(ask: Ask, package: Path) -> None:
    """The second time it is read."""
    assert [ask(), ask()] == [b"made 1", b"made 1"]
    assert [path.name.rpartition(".")[2] for path in files(package)] == ["test"]


@pytest.mark.parametrize("change", ["text", "time", "new module", "new module in a folder", "moved module"])
def test_made_anew(ask: Ask, package: Path, change: str) -> None:
    """When a source has changed, or there is one more, it is made again."""
    (package / "inner").mkdir()
    (package / "inner" / "z.py").touch()
    ask()
    module = package / "__init__.py"
    if change == "text":
        state = module.stat()
        module.write_text("another")
        os.utime(module, ns=(state.st_atime_ns, state.st_mtime_ns))
    elif change == "time":
        os.utime(module, (1, 1))
    elif change == "moved module":
        (package / "inner" / "z.py").rename(package / "z.py")
    else:
        (package / ("inner" if "folder" in change else "") / "more.py").touch()

    assert [ask(), ask()] == [b"made 2", b"made 2"]


@pytest.mark.parametrize("damage", ["cut", "changed", "empty"])
def test_damaged(ask: Ask, package: Path, damage: str) -> None:
    """What was damaged on the disk is not used."""
    ask()
    (file,) = files(package)
    data = file.read_bytes()
    file.write_bytes({"cut": data[:-1], "changed": data[:-1] + b"x", "empty": b""}[damage])

    assert [ask(), ask()] == [b"made 2", b"made 2"]


def test_nothing_is_written(ask: Ask, package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Python is told to write no bytecode, nothing is written either."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    assert [ask(), ask()] == [b"made 1", b"made 2"]
    assert files(package) == []


def test_nothing_can_be_written(ask: Ask, package: Path) -> None:
    """Where a file stands in the way of the folder, it is made each time."""
    (package.parent / "kept").touch()

    assert [ask(), ask()] == [b"made 1", b"made 2"]


def test_packages_in_no_folder(package: Path) -> None:
    """Packages whose sources cannot be looked at are never taken for unchanged."""
    made = iter((b"1", b"2"))

    assert [cached("test", ["there_is_none"], lambda: next(made)) for _ in range(2)] == [b"1", b"2"]


def test_cache_tag(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Python that keeps no bytecode keeps nothing."""

    def cache_from_source(path: str) -> str:
        raise NotImplementedError

    monkeypatch.setattr(bundle_cache, "cache_from_source", cache_from_source)

    assert [ask(), ask()] == [b"made 1", b"made 2"]
