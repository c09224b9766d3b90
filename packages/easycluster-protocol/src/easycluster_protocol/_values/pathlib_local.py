"""Makes ``pathlib._local`` importable: Python 3.13 pickles paths under this name, which no other Python has.

Python 3.14 knows the name for the sake of such pickles; here older ones learn it.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from easycluster_protocol._types import Value

#: The module of Python 3.13, and the one that has its names in all other versions.
NAME, _HOME = "pathlib._local", "pathlib"


class _StandIn(ModuleType):
    """Has the public names of `_HOME`, which is imported when one of them is asked for."""

    def __getattr__(self, name: str) -> Value:
        if name.startswith("_"):  # it has no file, no path and no source of its own
            raise AttributeError(f"module {NAME!r} has no attribute {name!r}")
        return getattr(__import__(_HOME), name)


def is_needed_for(python: str) -> bool:
    """Whether the pickles of a peer with this version of Python, as "3.13.0", need `make_importable`."""
    return python.startswith("3.13.")


def make_importable() -> None:
    """Let this Python read the pickles of Python 3.13; nothing is imported for it."""
    if sys.version_info < (3, 13):
        sys.modules.setdefault(NAME, _StandIn(NAME))
