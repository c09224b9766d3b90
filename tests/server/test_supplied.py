"""Modules that a client sends: imported from memory, by whoever waits for them, or reported when they are damaged."""

from __future__ import annotations

import importlib
import inspect
import linecache
import os
import sys
import threading
import traceback
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import easycluster_bootstrap as bootstrap
from easycluster_server import _supplied
from easycluster_server._supplied import SuppliedModules
from helpers.waiting import PATIENCE, wait_until

SOURCES = {
    "ec_supplied": ("from .inner import fail\nNAME = __name__\n", True),
    "ec_supplied.inner": ("def fail():\n    raise KeyError('reason')\n", False),
    "ec_supplied.deep": ("", True),
    "ec_supplied.deep.end": ("TEXT = 'äöü'\n", False),
    "ec_empty": ("", False),
}
PACKED = bootstrap.pack(SOURCES)


@pytest.fixture
def supplied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SuppliedModules]:
    """A finder; what it does is undone after the test."""
    monkeypatch.chdir(tmp_path)
    finder = SuppliedModules()
    yield finder
    finder.give_up()
    sys.meta_path[:] = [each for each in sys.meta_path if each is not finder]
    for name in [name for name in sys.modules if name.startswith("ec_")]:
        del sys.modules[name]


class Importer(threading.Thread):
    """Imports a module in a thread of its own.

    Attributes:
        error: what that raised, if anything.
    """

    def __init__(self, finder: SuppliedModules, name: str) -> None:
        super().__init__(daemon=True)
        self.error: BaseException | None = None
        self._name = name
        self._finder = finder
        self.start()

    def run(self) -> None:
        """Ask the finder, as an import does."""
        try:
            if self._finder.find_spec(self._name) is None:
                raise ModuleNotFoundError(self._name)
        except BaseException as error:
            self.error = error

    def waits(self) -> bool:
        """Whether it stands in the finder."""
        frame = sys._current_frames().get(self.ident or 0)
        names = []
        while frame is not None:
            names.append(frame.f_code.co_name)
            frame = frame.f_back
        return names[:1] == ["wait"] and "find_spec" in names


def import_it(name: str) -> Any:
    """Import a module whatever the caches of other finders say."""
    importlib.invalidate_caches()
    return importlib.import_module(name)


def test_packages_and_submodules(supplied: SuppliedModules) -> None:
    """Packages, their submodules and relative imports work as from disk."""
    supplied.add(PACKED)
    package = import_it("ec_supplied")

    assert package.NAME == package.__name__ == package.__package__ == "ec_supplied"
    assert package.__path__ == []
    assert package.__file__ == "easycluster-supplied/ec_supplied/__init__.py"
    assert package.inner.__file__ == "easycluster-supplied/ec_supplied/inner.py"
    assert import_it("ec_supplied.deep.end").TEXT == "äöü"
    assert import_it("ec_empty").__file__ == "easycluster-supplied/ec_empty.py"


def test_tracebacks_show_source_lines(supplied: SuppliedModules) -> None:
    """Tracebacks and inspect show the lines that were sent, and no frame of the importer."""
    supplied.add(PACKED)
    package = import_it("ec_supplied")

    with pytest.raises(KeyError) as caught:
        package.fail()
    lines = "".join(traceback.format_exception(None, caught.value, caught.value.__traceback__))
    linecache.checkcache()

    assert 'File "easycluster-supplied/ec_supplied/inner.py", line 2, in fail\n    raise KeyError' in lines
    assert inspect.getsource(package.fail) == "def fail():\n raise KeyError('reason')\n"  # as it was sent


def test_failing_module(supplied: SuppliedModules) -> None:
    """A module that fails while it is imported fails that import alone, and can be imported once it is right."""
    supplied.add(bootstrap.pack({"ec_failing": ("1 / 0\n", False)}))
    with pytest.raises(ZeroDivisionError) as caught:
        import_it("ec_failing")

    assert traceback.extract_tb(caught.tb)[-1].line == "1/0"
    supplied.add(bootstrap.pack({"ec_failing": ("", False)}))
    assert import_it("ec_failing").__name__ == "ec_failing"


def test_nothing_on_disk(supplied: SuppliedModules, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No bytecode is written, and none is looked for, nor are modules in a folder that is called as the files are."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    folder = tmp_path / "easycluster-supplied" / "ec_supplied"
    cache = folder / "__pycache__"
    cache.mkdir(parents=True)
    for version in ("", f".{sys.implementation.cache_tag}"):
        (cache / f"inner{version}.pyc").write_bytes(b"no bytecode")
    (folder / "other.py").write_text("")
    before = sorted(tmp_path.rglob("*"))

    supplied.add(PACKED)

    assert import_it("ec_supplied").inner.fail
    assert sorted(tmp_path.rglob("*")) == before
    with pytest.raises(ModuleNotFoundError):
        import_it("ec_supplied.other")


def test_works_in_a_folder_that_is_gone(supplied: SuppliedModules, tmp_path: Path) -> None:
    """The current folder, which the user's code may have deleted, does not matter."""
    os.mkdir("gone")
    os.chdir("gone")
    os.rmdir(tmp_path / "gone")
    try:
        supplied.add(PACKED)
        assert import_it("ec_supplied").inner.__file__ == "easycluster-supplied/ec_supplied/inner.py"
    finally:
        os.chdir(tmp_path)


def test_other_names_fall_through(supplied: SuppliedModules, tmp_path: Path) -> None:
    """What was not sent is left to the other finders, what was sent comes before theirs."""
    (tmp_path / "ec_other.py").write_text("WHERE = 'disk'")
    (tmp_path / "ec_empty.py").write_text("WHERE = 'disk'")
    sys.path.insert(0, str(tmp_path))
    try:
        supplied.add(PACKED)

        assert supplied.find_spec("ec_other") is supplied.find_spec("ec_supplied.missing") is None
        assert import_it("ec_other").WHERE == "disk"
        assert not hasattr(import_it("ec_empty"), "WHERE")
        with pytest.raises(ModuleNotFoundError):
            import_it("ec_supplied.missing")
    finally:
        sys.path.remove(str(tmp_path))


def test_imported_modules_stay(supplied: SuppliedModules) -> None:
    """A module that was imported already is not replaced by one that comes later."""
    supplied.add(PACKED)
    first = import_it("ec_empty")
    supplied.add(bootstrap.pack({"ec_empty": ("NEW = 1\n", False), "ec_more": ("", False)}))

    assert import_it("ec_empty") is first
    assert import_it("ec_more")
    assert sys.meta_path.count(supplied) == 1


@pytest.mark.parametrize("size", range(len(PACKED)))
def test_truncated(supplied: SuppliedModules, size: int) -> None:
    """A message that lacks its end is refused as a whole, wherever it was cut."""
    with pytest.raises(ValueError, match="modules that the client sent cannot be read: "):
        supplied.add(PACKED[:size])

    assert supplied.find_spec("ec_supplied") is None


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"name 0 5\nfour", "cannot have 5 bytes"),
        (b"name 0 -9\nfour", "cannot have -9 bytes"),
        (b"name 0 -1\nfour", "cannot have -1 bytes"),
        (b"name 0 four\nfour", "four"),
        (b"name 4\nfour", "unpack"),
        (b"name 0 4", "not found"),
        (b"\xff 0 4\nfour", "decode"),
    ],
)
def test_wrong_contents(supplied: SuppliedModules, data: bytes, reason: str) -> None:
    """Contents that are not what they should be are refused; nothing of the message is used."""
    with pytest.raises(ValueError, match=reason):
        supplied.add(zlib.compress(b"ec_right 0 0\n" + data))

    assert supplied.find_spec("ec_right") is None


@pytest.mark.parametrize(
    "data", [b"", b"no zlib at all", PACKED + b"more", PACKED[:-1] + b"?", b"y" + PACKED[1:]]
)
def test_wrong_compression(supplied: SuppliedModules, data: bytes) -> None:
    """What is not exactly one zlib stream is refused."""
    with pytest.raises(ValueError, match="cannot be read"):
        supplied.add(data)


def test_bomb(supplied: SuppliedModules, monkeypatch: pytest.MonkeyPatch) -> None:
    """A message whose contents are larger than allowed is refused, and never decompressed whole."""
    monkeypatch.setattr(_supplied, "_LIMIT", 1 << 20)
    size = (1 << 20) - len(b"ec_large 0 1048560\n")
    large = b"ec_large 0 %d\n" % size + b"#" * size
    assert len(large) == 1 << 20

    supplied.add(zlib.compress(large))
    assert supplied.find_spec("ec_large") is not None
    with pytest.raises(ValueError, match="more than the 1 MiB allowed"):
        supplied.add(zlib.compress(large + b"ec_more 0 0\n"))
    with pytest.raises(ValueError, match="decompressed 1048576"):
        supplied.add(zlib.compress(bytes(1 << 26)))
    assert supplied.find_spec("ec_more") is None


def test_any_buffer(supplied: SuppliedModules) -> None:
    """The body may be any kind of bytes, as it comes from the receiver."""
    for kind in (bytes, bytearray, memoryview):
        supplied.add(kind(PACKED))


def test_expected_modules_are_waited_for(supplied: SuppliedModules) -> None:
    """Who imports a module that will come waits until it is there, and not until others are."""
    supplied.expect(["ec_supplied", "ec_empty"])
    waiting = Importer(supplied, "ec_supplied")
    wait_until(waiting.waits)
    supplied.add(bootstrap.pack({"ec_first": ("", False)}))

    # What came first, as cloudpickle may, is there at once; for the others everybody still waits.
    assert supplied.find_spec("ec_first") is not None
    second = Importer(supplied, "ec_empty")
    wait_until(lambda: second.waits() or not second.is_alive())
    supplied.add(PACKED)
    for each in (waiting, second):
        each.join(PATIENCE)
        assert (each.is_alive(), each.error) == (False, None)


def test_who_imports_later_does_not_wait(supplied: SuppliedModules, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once they have come, imports of expected modules do not wait, nor does any other before."""
    supplied.expect(["ec_supplied", "ec_supplied.gone"])
    monkeypatch.setattr(_supplied, "_PATIENCE", None)

    assert supplied.find_spec("ec_unexpected") is None
    supplied.add(bootstrap.pack({"ec_supplied.gone": ("", False)}))
    supplied.add(PACKED)
    assert supplied.find_spec("ec_supplied") is not None


def test_giving_up(supplied: SuppliedModules) -> None:
    """When nothing more will come, whoever waits goes on, without the module."""
    supplied.expect(["ec_supplied", "ec_empty"])
    waiting = [Importer(supplied, name) for name in ("ec_supplied", "ec_empty")]
    wait_until(lambda: all(each.waits() for each in waiting))
    supplied.give_up()

    for each in waiting:
        each.join(PATIENCE)
        assert isinstance(each.error, ModuleNotFoundError)
    assert supplied.find_spec("ec_supplied") is None


def test_patience_ends(supplied: SuppliedModules, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that never sends what it said costs an import a while, and an error."""
    monkeypatch.setattr(_supplied, "_PATIENCE", 0.01)
    supplied.expect(["ec_supplied"])

    with pytest.raises(ModuleNotFoundError):
        import_it("ec_supplied")
