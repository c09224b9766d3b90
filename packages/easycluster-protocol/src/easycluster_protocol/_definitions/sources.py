"""Sources that are in no file: blocks of definitions, and the arguments of `eval` and `execblock`.

Stack traces show their lines all the same, because `linecache` gets them. On a host that was sent our code it
gets them when it is imported: that takes 10 ms, and most sessions never need it.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Dict, List, Tuple

if TYPE_CHECKING:
    from types import ModuleType

    #: The size of the source, None for its time of modification, its lines, its name.
    Entry = Tuple[int, None, List[str], str]

#: The cache of `linecache`; until that is imported, the entries that it will get.
_lines: Dict[str, Entry] = {}


def keep(name: str, source: str) -> None:
    """Let stack traces show the lines of a source.

    Args:
        name: the name that takes the place of a file's.
        source: its text.
    """
    # Without a time of modification linecache never drops the entry because there is no file.
    _lines[name] = (len(source), None, source.splitlines(True), name)


def forget(name: str) -> None:
    """Drop the source of this name."""
    _lines.pop(name, None)


def _fill(linecache: ModuleType) -> None:
    """Move the entries into the cache of `linecache`, and keep further ones there."""
    global _lines
    linecache.cache.update(_lines)
    _lines = linecache.cache


_importer: Any = sys.modules.get("easycluster_bootstrap")
if hasattr(_importer, "when_imported"):
    _importer.when_imported("linecache", _fill)
else:
    _fill(__import__("linecache"))
