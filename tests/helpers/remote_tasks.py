"""Functions for the server whose end a test decides: each waits until a file exists."""

from __future__ import annotations

from pathlib import Path
from typing import Any

DEFINITIONS = """
import os
import time

def add(a, b=1):
    return a + b

def same(value):
    return value

def divide(a, b):
    return a / b

def echo(*args, **kwargs):
    return args, kwargs

def wait_for(path):
    while not os.path.exists(path):
        time.sleep(0.001)
    return os.path.basename(path)
"""


class Tasks:
    """Calls that last until they are let go.

    Args:
        folder: an empty one.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def start(self, client: Any, name: str, **options: Any) -> Any:
        """Call a function that will return ``name``; return the response."""
        return client.wait_for(str(self._folder / name), **{"nonblocking": True, **options})

    def path(self, name: str) -> str:
        """The file for which the function of that name waits."""
        return str(self._folder / name)

    def finish(self, *names: str) -> None:
        """Let calls return."""
        for name in names:
            (self._folder / name).touch()
