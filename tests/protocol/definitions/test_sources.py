"""Sources that stand in no file: stack traces show their lines as soon as linecache is there."""

from __future__ import annotations

import importlib
import linecache
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest

from easycluster_protocol._definitions import sources


class Importer(ModuleType):
    """Stands for the importer of a host that was sent our code, where nobody has imported linecache yet."""

    def __init__(self) -> None:
        super().__init__("easycluster_bootstrap")
        self.awaited: dict[str, Callable[[Any], None]] = {}

    def when_imported(self, name: str, tell: Callable[[Any], None]) -> None:
        """As that of `easycluster_bootstrap._finder`."""
        self.awaited[name] = tell


@pytest.fixture
def importer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Importer]:
    """The importer; our module was imported on its host."""
    importer = Importer()
    monkeypatch.setitem(sys.modules, "easycluster_bootstrap", importer)
    importlib.reload(sources)
    yield importer
    monkeypatch.undo()
    importlib.reload(sources)


def test_lines_are_shown() -> None:
    """A source that is kept has lines, also after linecache has looked for files; one that was dropped has none."""
    sources.keep("no file[1]", "first\nsecond\n")
    linecache.checkcache()
    shown = linecache.getline("no file[1]", 2)
    sources.forget("no file[1]")

    assert shown == "second\n"
    assert linecache.getline("no file[1]", 2) == ""


def test_linecache_comes_later(importer: Importer) -> None:
    """Sources that are kept before linecache is imported are shown afterwards, and so are later ones."""
    later = ModuleType("linecache")
    later.cache = {"a file": ()}  # type: ignore[attr-defined]
    for name in ("kept", "forgotten"):
        sources.keep(name, "a line\n")
    sources.forget("forgotten")
    importer.awaited["linecache"](later)
    sources.keep("afterwards", "another\n")

    assert set(later.cache) == {"a file", "kept", "afterwards"}
    assert later.cache["kept"] == (7, None, ["a line\n"], "kept")
