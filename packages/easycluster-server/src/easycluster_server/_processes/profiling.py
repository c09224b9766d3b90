"""Profiles of what a server does: of its own process, and of each connection's."""

from __future__ import annotations

import atexit
import os
from typing import Callable


def profile_calls(path: str) -> None:
    """Profile the calls of this process's main thread, until it ends; called in the process of a connection.

    Args:
        path: the profile is written there, with a dot and the number of the process.
    """
    import cProfile

    profile = cProfile.Profile()

    def finish() -> None:
        profile.disable()
        profile.dump_stats(f"{path}.{os.getpid()}")

    atexit.register(finish)
    profile.enable()


def profile_into(path: str, function: Callable[[], object]) -> None:
    """Call a function, and write its profile to a file, however it ends."""
    import cProfile

    profile = cProfile.Profile()
    try:
        profile.runcall(function)
    finally:
        profile.dump_stats(path)
