"""What Python 3.13 pickles under a name that no other Python has: paths, as of ``pathlib._local``.

Python 3.14 knows that name for the sake of such pickles; older ones are told here.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

#: The module of Python 3.13 alone, and where all others have what is in it.
NAME, _HOME = "pathlib._local", "pathlib"


class _Stand(ModuleType):
    """Has the public names of `_HOME`, which is imported when one is asked for."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # it has no file, no path and no source of its own
            raise AttributeError(f"module {NAME!r} has no attribute {name!r}")
        return getattr(__import__(_HOME), name)


def can_have_moved(python: str) -> bool:
    """Whether the pickles of a peer with this version of Python, as "3.13.0", may need `find_moved`."""
    return python.startswith("3.13.")


def find_moved() -> None:
    """Let the pickles of Python 3.13 be read by this one; nothing is imported for it."""
    if sys.version_info < (3, 13):
        sys.modules.setdefault(NAME, _Stand(NAME))
