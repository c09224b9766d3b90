"""Bundles of modules, kept for the next run of a master: making one takes half a second.

A bundle lies where Python keeps its compiled modules, is as trusted as they are, and follows the same rules:
it counts while the sources are unchanged, it is not written when Python is to write no bytecode, and where
nothing can be written it is made again each time.
"""

from __future__ import annotations

import os
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from importlib.machinery import PathFinder
from importlib.util import cache_from_source


def cached(name: str, packages: Sequence[str], make: Callable[[], bytes]) -> bytes:
    """Return the bundle that ``make()`` returns, or returned earlier from the same sources.

    Args:
        name: the name of the bundle, as part of a file's name.
        packages: the packages whose sources the bundle depends on.
        make: makes the bundle.
    """
    try:
        path = f"{os.path.splitext(cache_from_source(__file__))[0]}.{name}"
        state = "".join(_states(packages)).encode()
    except (NotImplementedError, OSError):  # Python keeps nothing, or the packages are in no folder
        return make()
    found = _read(path, state)
    if found is None:
        found = make()
        if not sys.dont_write_bytecode:
            _write(path, state, found)
    return found


def _states(packages: Sequence[str]) -> Iterator[str]:
    """Yield a line for each source: its name, size and time of change."""
    for package in packages:
        spec = PathFinder.find_spec(package)
        if spec is None or not spec.submodule_search_locations:
            raise FileNotFoundError(package)
        for folder in spec.submodule_search_locations:
            yield from _folder_states(folder)


def _folder_states(folder: str) -> Iterator[str]:
    yield f"{folder}\n"
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if entry.name.endswith(".py"):
                state = entry.stat()
                yield f"{entry.path} {state.st_size} {state.st_mtime_ns}\n"
            elif entry.name != "__pycache__" and entry.is_dir():
                yield from _folder_states(entry.path)


def _head(state: bytes, content: bytes) -> bytes:
    return b"%s\n%08x\n" % (state, zlib.crc32(content))


def _read(path: str, state: bytes) -> bytes | None:
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError:
        return None
    content = data[len(_head(state, b"")) :]
    return content if data.startswith(_head(state, content)) else None


def _write(path: str, state: bytes, content: bytes) -> None:
    own = f"{path}.{os.getpid()}"  # no process ever sees half of it
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(own, "xb") as file:
            file.write(_head(state, content) + content)
        os.replace(own, path)
    except OSError:
        try:
            os.unlink(own)
        except OSError:
            pass
