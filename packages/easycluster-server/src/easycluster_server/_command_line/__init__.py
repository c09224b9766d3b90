"""The command ``easycluster``, also ``python -m easycluster``.

`main` of this package is the entry point; `parser` has the options, `command` runs what they ask for, and
each verb, as serving or making a key, has a module of its own.
"""

from __future__ import annotations

from .command import main

__all__ = ["main"]
