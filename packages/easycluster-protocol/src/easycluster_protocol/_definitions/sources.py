"""Sources that stand in no file: blocks of definitions, and what `eval` and `execblock` are given.

Stack traces show their lines all the same: `linecache` is told of them. On a host that was sent our code it
is told when somebody imports it, for most sessions never do and that takes 10 ms.
"""

from __future__ import annotations

import sys
from typing import Any, Dict

#: What `linecache` knows; until it is imported, what it will be told.
_lines: Dict[str, Any] = {}


def keep(name: str, source: str) -> None:
    """Let stack traces show the lines of a source.

    Args:
        name: what stands for the name of its file.
        source: its text.
    """
    # No modification time: linecache then never drops the entry for want of a file.
    _lines[name] = (len(source), None, source.splitlines(True), name)


def forget(name: str) -> None:
    """Keep the source of this name no longer."""
    _lines.pop(name, None)


def _tell(linecache: Any) -> None:
    global _lines
    linecache.cache.update(_lines)
    _lines = linecache.cache


_importer: Any = sys.modules.get("easycluster_bootstrap")
if hasattr(_importer, "when_imported"):
    _importer.when_imported("linecache", _tell)
else:
    _tell(__import__("linecache"))
