"""Begins on the host: restores the text of the bundle, and hands over to the importer.

Runs on the host only, from the short line (see `_command`). Valid on 3.6 as it stands.
"""
# ruff: noqa: FA100 -- Python 3.6 has no `from __future__ import annotations`

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, List


def load(parts: "List[bytes]", session: bytes, path: "List[str]", hook: "Any") -> None:
    """Restore the text, and start the importer in it.

    Args:
        parts: of the first frame of the bundle: this source, the text, the words.
        session: the last frame of the bundle; see `start` of the importer.
        path: sys.path as it was when Python started.
        hook: sys.excepthook as it was when Python started.
    """
    _, text, *words = parts
    while words:  # the last one first, because a word may contain the bytes of earlier words
        text = text.replace(bytes([127 + len(words)]), words.pop())
    source, modules = text.split(b"\f", 1)
    importer: Any = type(sys)("easycluster_bootstrap")
    sys.modules[importer.__name__] = importer
    exec(compile(source, "easycluster-bundle/easycluster_bootstrap.py", "exec"), importer.__dict__)
    importer.start(source, modules, session, path, hook)
