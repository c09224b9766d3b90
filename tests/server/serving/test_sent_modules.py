"""Modules that a client sends: imported from memory, or reported when they are damaged."""

from __future__ import annotations

import importlib
import inspect
import linecache
import os
import sys
import traceback
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import easycluster_bootstrap as bootstrap
from easycluster_server._serving import sent_modules
from easycluster_server._serving.sent_modules import SentModules

SOURCES = {
    "ec_sent": ("from .inner import fail\nNAME = __name__\n", True),
    "ec_sent.inner": ("def fail():\n    raise KeyError('reason')\n", False),
    "ec_sent.deep": ("", True),
    "ec_sent.deep.end": ("TEXT = 'äöü'\n", False),
    "ec_empty": ("", False),
}
PACKED = bootstrap.pack(SOURCES)


@pytest.fixture
def sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SentModules]:
    """A finder; what it does is undone after the test."""
    monkeypatch.chdir(tmp_path)
    finder = SentModules()
    yield finder
    sys.meta_path[:] = [each for each in sys.meta_path if each is not finder]
    for name in [name for name in sys.modules if name.startswith("ec_")]:
        del sys.modules[name]


def import_it(name: str) -> Any:
    """Import a module whatever the caches of other finders say."""
    importlib.invalidate_caches()
    return importlib.import_module(name)


def test_packages_and_submodules(sent: SentModules) -> None:
    """Packages, their submodules and relative imports work as from disk."""
    sent.add(PACKED)
    package = import_it("ec_sent")

    assert package.NAME == package.__name__ == package.__package__ == "ec_sent"
    assert package.__path__ == []
    assert package.__file__ == "easycluster-supplied/ec_sent/__init__.py"
    assert package.inner.__file__ == "easycluster-supplied/ec_sent/inner.py"
    assert import_it("ec_sent.deep.end").TEXT == "äöü"
    assert import_it("ec_empty").__file__ == "easycluster-supplied/ec_empty.py"


def test_tracebacks_show_source_lines(sent: SentModules) -> None:
    """Tracebacks and inspect show the lines that were sent, and no frame of the importer."""
    sent.add(PACKED)
    package = import_it("ec_sent")

    with pytest.raises(KeyError) as caught:
        package.fail()
    lines = "".join(traceback.format_exception(None, caught.value, caught.value.__traceback__))
    linecache.checkcache()

    assert 'File "easycluster-supplied/ec_sent/inner.py", line 2, in fail\n    raise KeyError' in lines
    assert inspect.getsource(package.fail) == "def fail():\n raise KeyError('reason')\n"  # as it was sent


def test_failing_module(sent: SentModules) -> None:
    """A module that fails while it is imported fails that import alone, and can be imported once it is right."""
    sent.add(bootstrap.pack({"ec_failing": ("1 / 0\n", False)}))
    with pytest.raises(ZeroDivisionError) as caught:
        import_it("ec_failing")

    assert traceback.extract_tb(caught.tb)[-1].line == "1/0"
    sent.add(bootstrap.pack({"ec_failing": ("", False)}))
    assert import_it("ec_failing").__name__ == "ec_failing"


def test_nothing_on_disk(sent: SentModules, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No bytecode is written, and none is looked for, nor are modules in a folder that is called as the files are."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    folder = tmp_path / "easycluster-supplied" / "ec_sent"
    cache = folder / "__pycache__"
    cache.mkdir(parents=True)
    for version in ("", f".{sys.implementation.cache_tag}"):
        (cache / f"inner{version}.pyc").write_bytes(b"no bytecode")
    (folder / "other.py").write_text("")
    before = sorted(tmp_path.rglob("*"))

    sent.add(PACKED)

    assert import_it("ec_sent").inner.fail
    assert sorted(tmp_path.rglob("*")) == before
    with pytest.raises(ModuleNotFoundError):
        import_it("ec_sent.other")


def test_works_in_a_folder_that_is_gone(sent: SentModules, tmp_path: Path) -> None:
    """The current folder, which the user's code may have deleted, does not matter."""
    os.mkdir("gone")
    os.chdir("gone")
    os.rmdir(tmp_path / "gone")
    try:
        sent.add(PACKED)
        assert import_it("ec_sent").inner.__file__ == "easycluster-supplied/ec_sent/inner.py"
    finally:
        os.chdir(tmp_path)


def test_other_names_fall_through(sent: SentModules, tmp_path: Path) -> None:
    """What was not sent is left to the other finders, what was sent comes before theirs."""
    (tmp_path / "ec_other.py").write_text("WHERE = 'disk'")
    (tmp_path / "ec_empty.py").write_text("WHERE = 'disk'")
    sys.path.insert(0, str(tmp_path))
    try:
        sent.add(PACKED)

        assert sent.find_spec("ec_other") is sent.find_spec("ec_sent.missing") is None
        assert import_it("ec_other").WHERE == "disk"
        assert not hasattr(import_it("ec_empty"), "WHERE")
        with pytest.raises(ModuleNotFoundError):
            import_it("ec_sent.missing")
    finally:
        sys.path.remove(str(tmp_path))


def test_imported_modules_stay(sent: SentModules) -> None:
    """A module that was imported already is not replaced by one that comes later."""
    sent.add(PACKED)
    first = import_it("ec_empty")
    sent.add(bootstrap.pack({"ec_empty": ("NEW = 1\n", False), "ec_more": ("", False)}))

    assert import_it("ec_empty") is first
    assert import_it("ec_more")
    assert sys.meta_path.count(sent) == 1


@pytest.mark.parametrize("size", range(len(PACKED)))
def test_truncated(sent: SentModules, size: int) -> None:
    """A message that lacks its end is refused as a whole, wherever it was cut."""
    with pytest.raises(ValueError, match="modules that the client sent cannot be read: "):
        sent.add(PACKED[:size])

    assert sent.find_spec("ec_sent") is None


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
def test_wrong_contents(sent: SentModules, data: bytes, reason: str) -> None:
    """Contents that are not what they should be are refused; nothing of the message is used."""
    with pytest.raises(ValueError, match=reason):
        sent.add(zlib.compress(b"ec_right 0 0\n" + data))

    assert sent.find_spec("ec_right") is None


@pytest.mark.parametrize(
    "data", [b"", b"no zlib at all", PACKED + b"more", PACKED[:-1] + b"?", b"y" + PACKED[1:]]
)
def test_wrong_compression(sent: SentModules, data: bytes) -> None:
    """What is not exactly one zlib stream is refused."""
    with pytest.raises(ValueError, match="cannot be read"):
        sent.add(data)


def test_bomb(sent: SentModules, monkeypatch: pytest.MonkeyPatch) -> None:
    """A message whose contents are larger than allowed is refused, and never decompressed whole."""
    monkeypatch.setattr(sent_modules, "_MAX_BYTES", 1 << 20)
    size = (1 << 20) - len(b"ec_large 0 1048560\n")
    large = b"ec_large 0 %d\n" % size + b"#" * size
    assert len(large) == 1 << 20

    sent.add(zlib.compress(large))
    assert sent.find_spec("ec_large") is not None
    with pytest.raises(ValueError, match="exceed the 1 MiB allowed"):
        sent.add(zlib.compress(large + b"ec_more 0 0\n"))
    with pytest.raises(ValueError, match="decompressed 1048576"):
        sent.add(zlib.compress(bytes(1 << 26)))
    assert sent.find_spec("ec_more") is None


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_buffer(sent: SentModules, kind: type[Any]) -> None:
    """The body may be any kind of bytes, as it comes from the receiver, and the receiver may use it again."""
    body = bytearray(PACKED)
    sent.add(kind(body))
    body[:] = bytes(len(body))

    assert import_it("ec_sent.deep.end").TEXT == "äöü"
