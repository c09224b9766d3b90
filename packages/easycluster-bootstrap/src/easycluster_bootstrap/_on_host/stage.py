# Runs on the host, from the short line (see _command.py), with no module of ours beside it.
# ruff: noqa: FA100 -- Python 3.6 has no `from __future__ import annotations`
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, List


def load(parts: "List[bytes]", session: bytes, path: "List[str]", hook: "Any") -> None:
    """Expand the words, and hand over to the importer.

    Args:
        parts: this source, the text of the bundle, the words that stand in it as bytes above 127.
        session: see `start` of the importer.
        path: sys.path as it was when Python started.
        hook: sys.excepthook as it was when Python started.
    """
    _, text, *words = parts
    while words:  # a word may hold those before it
        text = text.replace(bytes([127 + len(words)]), words.pop())
    source, modules = text.split(b"\f", 1)
    importer: Any = type(sys)("easycluster_bootstrap")
    sys.modules[importer.__name__] = importer
    exec(compile(source, "easycluster-bundle/easycluster_bootstrap.py", "exec"), importer.__dict__)
    importer.start(source, modules, session, path, hook)
